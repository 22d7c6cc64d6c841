//! Tests of detector sets.
