//! Machine code in a release: for which machines, and under which artifact names.
//!
//! The compiler translates the core module with wasmtime's Cranelift for each [`Target`] and signs the result
//! with the rest. A host whose processor and operating system are a target's maps that code; any other host,
//! and one whose wasmtime refuses the code, interprets [`crate::release::CORE_MODULE`]. The code may use every
//! processor of its architecture: the baselines are those of the first x86-64 and of ARMv8.0-A, never the
//! features of the machine that compiled it.

/// A kind of machine that releases carry code for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The processor architecture, as [`std::env::consts::ARCH`] names it.
    pub arch: &'static str,
    /// The target as compilers name it. The C library makes no difference: the code calls none.
    pub triple: &'static str,
    /// The name of the artifact in a release: what `wasmtime compile` would write.
    pub artifact: &'static str,
}

/// All of them.
pub const TARGETS: [Target; 2] = [
    Target {
        arch: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        artifact: "policy.aarch64-linux.cwasm",
    },
    Target { arch: "x86_64", triple: "x86_64-unknown-linux-gnu", artifact: "policy.x86_64-linux.cwasm" },
];

/// The target that this very machine is, if it is one.
#[must_use]
pub fn this_machine() -> Option<&'static Target> {
    let linux = std::env::consts::OS == "linux";
    TARGETS.iter().find(|target| linux && target.arch == std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_a_target_where_releases_have_code_for_it() {
        let here = this_machine().map(|target| target.artifact);
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(here, Some("policy.x86_64-linux.cwasm"));
        } else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
            assert_eq!(here, Some("policy.aarch64-linux.cwasm"));
        } else {
            assert_eq!(here, None);
        }
    }
}
