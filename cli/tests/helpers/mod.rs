//! What the tests of the commands share: running the program and reading what it says.

#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails must fail loudly")]
#![allow(dead_code, reason = "each test program uses some of them")]

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs the program in a folder.
pub(crate) fn aecp(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aecp")).current_dir(folder).args(arguments).output().unwrap()
}

/// What it wrote to standard output.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it wrote to standard error.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
