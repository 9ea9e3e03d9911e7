//! `aecp compose`, and what it makes, in the host of `aecp-enforcer serve`: policies sealed in, and an application that a
//! denied request never reaches.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod corpus;
mod edge;
#[path = "../helpers/mod.rs"]
mod helpers;

use std::fs;

use aecp_enforcer::component::ComponentServer;
use aecp_integration_tests::guest;
use edge::{compose, publish, serve, web_store};
use helpers::{aecp, err, out, url};
use serde_json::Value;
use tokio::runtime::Runtime;

const SET: &str = r#"
POLICY no_secrets {
  SCOPE: requests
  CONSTRAINT: NOT (request.path STARTS WITH "/secret")
  ENFORCEMENT: BLOCKING
}
"#;

async fn ask(server: &ComponentServer, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("http://{}/{path}", server.address())).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn code(text: &str) -> String {
    serde_json::from_str::<Value>(text).unwrap()["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_denied_request_never_reaches_the_application_below() {
    let folder = edge::folder(SET);
    let folder = folder.path();
    let app = guest::component("probe");
    let composed = compose(folder, "middleware", &["--app", app.to_str().unwrap()]);
    assert!(composed.status.success(), "{}", err(&composed));
    Runtime::new().unwrap().block_on(async {
        let store = web_store(&folder.join("store")).await;
        let server = serve(folder, &[("aecp_store", &format!("http://{store}"))], &[store]).await;
        // The application counts what reaches it.
        assert_eq!(ask(&server, "served").await, (200, "1".to_owned()));
        for _ in 0..5 {
            let (status, problem) = ask(&server, "secret/plans").await;
            assert_eq!(status, 403);
            assert!(problem.contains("no_secrets"), "{problem}");
        }
        assert_eq!(ask(&server, "served").await, (200, "2".to_owned()));
        server.stop().await.unwrap();
    });
}

#[test]
fn a_sealed_component_decides_without_a_store_and_refuses_an_older_release_than_it_had() {
    let folder = edge::folder(SET);
    let folder = folder.path();
    let app = guest::component("probe");
    let app = app.to_str().unwrap();
    let store = url(&folder.join("store"));
    let sealed = |out: &str| {
        let arguments = [
            "--store",
            &store,
            "--channel",
            "prod",
            "--root",
            "keys/root.json",
            "--app",
            app,
            "--out",
            out,
        ];
        let component = guest::component("middleware_sealed");
        let composed = aecp(
            folder,
            &[&["compose", "--component", component.to_str().unwrap()], &arguments[..]].concat(),
        );
        assert!(composed.status.success(), "{}", err(&composed));
        helpers::out(&composed)
    };
    assert!(sealed("first.wasm").contains("release   1 of channel prod"));
    publish(folder);
    assert!(sealed("second.wasm").contains("release   2 of channel prod"));
    Runtime::new().unwrap().block_on(async {
        for (component, allowed, denied) in [
            ("first.wasm", (200, None), "denied"),
            ("second.wasm", (200, None), "denied"),
            // The store of keys remembers the second.
            ("first.wasm", (403, Some("no_release")), "no_release"),
        ] {
            fs::copy(folder.join(component), folder.join("composed.wasm")).unwrap();
            let server = serve(folder, &[], &[]).await;
            let (status, text) = ask(&server, "served").await;
            assert_eq!(status, allowed.0, "{component}: {text}");
            assert_eq!(allowed.1.map(str::to_owned), allowed.1.map(|_| code(&text)), "{component}");
            let (status, problem) = ask(&server, "secret/plans").await;
            assert_eq!((status, code(&problem).as_str()), (403, denied), "{component}");
            server.stop().await.unwrap();
        }
    });
}

#[test]
fn what_would_not_be_believed_or_does_not_fit_is_not_composed() {
    let folder = edge::folder(SET);
    let folder = folder.path();
    let store = url(&folder.join("store"));
    let release = ["--store", &store, "--channel", "prod", "--root", "keys/root.json"];
    let app = guest::component("probe");
    let app = app.to_str().unwrap();
    for (component, arguments, why) in [
        ("middleware_sealed", &["--app", app][..], "wants the policies of a release"),
        ("middleware", &release[..], "takes no policies"),
        ("probe", &["--app", app][..], "is no middleware"),
        ("middleware", &["--app", "keys/root.json"][..], "--app cannot be used"),
        ("middleware", &[][..], "--app"),
    ] {
        let composed = compose(folder, component, arguments);
        assert_eq!(composed.status.code(), Some(2), "{component} {arguments:?}");
        assert!(err(&composed).contains(why), "{}", err(&composed));
        assert!(!folder.join("composed.wasm").exists());
    }

    // One byte of the policies' component is another: the digest says so.
    let blobs = folder.join("store/blobs/sha256");
    let component = fs::read_dir(blobs).unwrap().map(|entry| entry.unwrap().path());
    let is_component =
        |path: &std::path::PathBuf| fs::read(path).unwrap().starts_with(b"\0asm\x0d\0\x01\0");
    let component = component.into_iter().find(is_component).unwrap();
    let good = fs::read(&component).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&component, bad).unwrap();
    let refused = compose(folder, "middleware_sealed", &release);
    assert_eq!(refused.status.code(), Some(1));
    assert!(out(&refused).contains("digest_mismatch"), "{}", out(&refused));
    fs::write(&component, good).unwrap();

    // A release that was pulled off its channel for an older one, and another one's keys.
    assert!(aecp(folder, &["keygen", "--out", "others"]).status.success());
    let others = ["--store", &store, "--channel", "prod", "--root", "others/root.json"];
    let refused = compose(folder, "middleware_sealed", &others);
    assert_eq!(refused.status.code(), Some(1));
    assert!(out(&refused).contains("root_mismatch"), "{}", out(&refused));
    let arguments =
        ["publish", "set", "--store", &store, "--channel", "short", "--key", "keys/private.pem"];
    let short = aecp(folder, &[&arguments[..], &["--expires", "1s", "--stale-after", "0s"]].concat());
    assert!(short.status.success(), "{}", err(&short));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let expired = ["--store", &store, "--channel", "short", "--root", "keys/root.json"];
    let refused = compose(folder, "middleware_sealed", &expired);
    assert_eq!(refused.status.code(), Some(1));
    assert!(out(&refused).contains("expired"), "{}", out(&refused));
    assert!(!folder.join("composed.wasm").exists());
}
