//! Other people's programs, from the Python package index: an S3 emulator, a component host, the runtime of AWS Lambda and a
//! checker of its templates,
//! in a virtual environment that the first test makes and all others share.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What is installed, pinned.
const PACKAGES: [&str; 4] =
    ["moto[server]==5.2.5", "wasmtime==50.0.1", "awslambdaric==4.2.2", "cfn-lint==1.58.0"];

/// The virtual environment's interpreter, made in `folder` (a test's `CARGO_TARGET_TMPDIR`) if it is not there.
///
/// # Panics
/// If it cannot be made: these tests must not pass without having run.
#[must_use]
pub fn interpreter(folder: &str) -> PathBuf {
    let folder = Path::new(folder);
    fs::create_dir_all(folder).expect("the tests' folder can be made");
    let lock = File::create(folder.join("python.lock")).expect("the lock can be made");
    lock.lock().expect("the lock can be taken");
    let environment = folder.join("python");
    let python = environment.join("bin").join("python");
    let marker = environment.join("packages");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&marker).is_ok_and(|there| there == wanted) {
        return python;
    }
    let _ = fs::remove_dir_all(&environment);
    must_run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    must_run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
    fs::write(&marker, wanted).expect("the marker can be written");
    python
}

fn must_run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} cannot be run ({error}); these tests need python3 with venv and pip")
    });
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} failed; these tests need python3 with venv and pip: {text}"
    );
}

/// A reading of the C2SP specifications that shares nothing with ours: verifies the log in `log` by its public key, and
/// each of `proofs`. What it says: the number of entries and the origin.
///
/// # Panics
/// If anything does not hold, with the script's own words.
#[must_use]
pub fn verify_log(folder: &str, log: &Path, key: &str, proofs: &[&Path]) -> String {
    let mut command = Command::new(interpreter(folder));
    command.args(["-c", include_str!("verify_log.py")]).arg(log).arg(key).args(proofs);
    let output = command.output().expect("python can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the log does not verify: {words}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A running S3 emulator, stopped when dropped.
pub struct S3 {
    server: Child,
    /// Its URL, without a slash at the end.
    pub url: String,
}

impl S3 {
    /// Starts one on a free port; it is ready when [`S3::url`] answers.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(folder: &str) -> Self {
        let server = interpreter(folder).with_file_name("moto_server");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let server = Command::new(server)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the S3 emulator can be started");
        Self { server, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
