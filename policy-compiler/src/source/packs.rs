//! `spec.packs`: which packs a policy imports, each with its version.

use super::reader;
use super::yaml::Node;
use crate::diagnostic::{Diagnostics, Text};

/// Reads the list; whether the packs exist is for [`crate::resolve`].
pub fn read(node: &Node, out: &mut Diagnostics) -> Vec<Text> {
    reader::texts(node, out)
}
