//! What the tests of the component for the edge share: a release, compositions, and the host.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Output};

use aecp_enforcer::component::{Component, ComponentConfig, ComponentServer, Limits};
use aecp_integration_tests::guest;
use tempfile::TempDir;

use crate::helpers::{aecp, err, url};

/// A folder with keys, a set and its first release.
pub(crate) fn folder(set: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/set.aecp"), set).unwrap();
    assert!(aecp(folder.path(), &["keygen", "--out", "keys"]).status.success());
    publish(folder.path());
    folder
}

pub(crate) fn publish(folder: &Path) {
    let store = url(&folder.join("store"));
    let published = aecp(
        folder,
        &["publish", "set", "--store", &store, "--channel", "prod", "--key", "keys/private.pem"],
    );
    assert!(published.status.success(), "{}", err(&published));
}

pub(crate) fn compose(folder: &Path, component: &str, arguments: &[&str]) -> Output {
    let component = guest::component(component);
    let component = component.to_str().unwrap();
    aecp(folder, &[&["compose", "--component", component, "--out", "composed.wasm"], arguments].concat())
}

/// `composed.wasm` of the folder, served.
pub(crate) async fn serve(
    folder: &Path,
    settings: &[(&str, &str)],
    outbound: &[SocketAddr],
) -> ComponentServer {
    let root = fs::read_to_string(folder.join("keys/root.json")).unwrap();
    let given = [("aecp_root", root.as_str()), ("aecp_channel", "prod")];
    let settings = given.iter().chain(settings);
    let settings: BTreeMap<_, _> =
        settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ComponentServer::start(ComponentConfig {
        component: Component::load(&folder.join("composed.wasm")).unwrap(),
        settings,
        state: folder.join("state"),
        outbound: outbound.iter().map(|address| address.to_string().parse().unwrap()).collect(),
        listen: "127.0.0.1:0".parse().unwrap(),
        limits: Limits::default(),
    })
    .await
    .unwrap()
}

/// The folder's files over HTTP, as an object store has them.
pub(crate) async fn web_store(folder: &Path) -> SocketAddr {
    let folder = folder.to_owned();
    let get = move |uri: axum::http::Uri| {
        let file = folder.join(uri.path().trim_start_matches('/'));
        async move {
            match fs::read(file) {
                Ok(bytes) => (axum::http::StatusCode::OK, bytes),
                Err(_) => (axum::http::StatusCode::NOT_FOUND, Vec::new()),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(get)).await });
    address
}
