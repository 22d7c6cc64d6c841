//! Tests of the compiler through its library and its binary; one binary, so that it is linked once.

#[cfg(test)]
mod callers;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod compile;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod diagnostics;
#[cfg(test)]
mod library;
#[cfg(test)]
mod mask;
#[cfg(test)]
mod named;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod support;
