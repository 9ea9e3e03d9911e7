//! Microsoft's own emulator of Azure Blob Storage, Azurite, from npm.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::python;

/// What is installed, pinned.
const PACKAGE: &str = "azurite@3.37.0";

/// A running emulator with one container, stopped when dropped.
pub struct Azure {
    server: Child,
    /// Its URL, without a slash at the end: `AZURITE_BLOB_STORAGE_URL`, beside `AZURE_STORAGE_USE_EMULATOR=true`.
    pub url: String,
}

impl Azure {
    /// Installs it in `folder` (a test's `CARGO_TARGET_TMPDIR`) if it is not there, starts it on a free port and makes the
    /// container. `None`, and a line on standard error, where there is no npm.
    ///
    /// # Panics
    /// If it cannot be installed or started.
    #[must_use]
    pub fn start(folder: &str, container: &str) -> Option<Self> {
        let home = Path::new(folder).join("azurite");
        fs::create_dir_all(&home).expect("the tests' folder can be made");
        let lock = File::create(home.join("lock")).expect("the lock can be made");
        lock.lock().expect("the lock can be taken");
        let marker = home.join("packages");
        if !fs::read_to_string(&marker).is_ok_and(|there| there == PACKAGE) {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                .arg(&home)
                .arg(PACKAGE);
            match npm.output() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    eprintln!("SKIPPED: Azure Blob Storage is not tested, since its emulator needs npm");
                    return None;
                }
                output => {
                    let output = output.expect("npm can be run");
                    let words = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "npm does not install {PACKAGE}: {words}");
                }
            }
            fs::write(&marker, PACKAGE).expect("the marker can be written");
        }
        drop(lock);
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let server = Command::new(home.join("node_modules/.bin/azurite-blob"))
            .args(["--inMemoryPersistence", "--silent", "--disableTelemetry", "--blobHost", "127.0.0.1"])
            .args(["--blobPort", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Azurite can be started");
        let azure = Self { server, url: format!("http://{address}") };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(120), "Azurite does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut make = Command::new(python::interpreter(folder));
        make.args(["-c", include_str!("azure_container.py"), &azure.url, container]);
        let output = make.output().expect("python can be run");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the container cannot be made: {words}");
        Some(azure)
    }
}

impl Drop for Azure {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
