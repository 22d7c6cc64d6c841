//! Tests of the compiler through its library and its binary; one binary, so that it is linked once.

mod cli;
mod compile;
mod diagnostics;
mod support;
