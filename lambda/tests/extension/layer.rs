//! The scripts of the layer, with a stand-in for a runtime: a program that says where it was told to find its API.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::environment::{Environment, within};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("layer").join(name)
}

const RUNTIME: &str = "#!/bin/sh\necho \"$AWS_LAMBDA_RUNTIME_API $*\"\n";

fn runtime(folder: &Path) -> PathBuf {
    let path = folder.join("function");
    fs::write(&path, RUNTIME).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn said(command: &mut Command) -> String {
    let output = command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrapped_runtime_takes_its_events_from_the_extension() {
    let environment = Environment::start().await;
    let runtime = runtime(environment.published.folder.path());
    let mut wrapped = Command::new(script("aecp-wrapper"));
    wrapped.arg(&runtime).args(["-m", "two words"]).env("AECP_PROXY", environment.proxy());
    let said = said(&mut wrapped);
    let (address, arguments) = said.split_once(' ').unwrap();
    assert_eq!(arguments, "-m two words");
    let id = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    let next = reqwest::get(format!("http://{address}/2018-06-01/runtime/invocation/next"));
    assert_eq!(within(next).await.unwrap().headers()["lambda-runtime-aws-request-id"], *id);
}

#[test]
fn without_settings_both_scripts_take_the_extensions_own_default() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime(folder.path());
    let wrapped = said(Command::new(script("aecp-wrapper")).arg(&runtime).env_remove("AECP_PROXY"));
    assert_eq!(wrapped, "127.0.0.1:9009");
    let mut provided = Command::new(script("bootstrap"));
    provided.env("LAMBDA_TASK_ROOT", folder.path()).env("_HANDLER", "function").env_remove("AECP_PROXY");
    assert_eq!(said(&mut provided), "127.0.0.1:9009");
    let help = Command::new(env!("CARGO_BIN_EXE_aecp-extension")).arg("--help").output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("[default: 127.0.0.1:9009]"));
}

#[test]
fn a_handler_that_is_no_program_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut provided = Command::new(script("bootstrap"));
    provided.env("LAMBDA_TASK_ROOT", folder.path()).env("_HANDLER", "app.handler");
    let output = provided.output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("app.handler` is no program"));
}
