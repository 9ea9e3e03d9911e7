//! WebAssembly components, built for the tests.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// The component that `spin-app/build` makes under this name, up to date.
///
/// # Panics
/// If it cannot be built: these tests must not pass without having run.
#[must_use]
pub fn component(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    // Beside what is to be deployed: the same components, built in less time.
    let built = root.join("target/spin-tests");
    fs::create_dir_all(&built).expect("the components' folder can be made");
    // Tests of other programs build the same.
    let lock = File::create(built.join("tests.lock")).expect("the lock can be made");
    lock.lock().expect("the lock can be taken");
    let mut build = Command::new(root.join("spin-app/build"));
    // Of this build's settings none is for another target.
    for (variable, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
        build.env_remove(variable);
    }
    build
        .env("AECP_SPIN_OUT", "target/spin-tests")
        .env("CARGO_PROFILE_GUEST_LTO", "off")
        .env("CARGO_PROFILE_GUEST_CODEGEN_UNITS", "16");
    let output = build.arg(name).output().expect("spin-app/build can be run");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the component `{name}` cannot be built: {text}");
    built.join(format!("aecp_{name}.wasm"))
}

fn is_ours(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_")
        || variable.starts_with("CARGO_MANIFEST_")
        || matches!(
            variable,
            "RUSTFLAGS" | "CARGO_ENCODED_RUSTFLAGS" | "CARGO_TARGET_DIR" | "RUSTC" | "CARGO"
        )
}
