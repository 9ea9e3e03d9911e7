//! Functions that crash, hang, raise, or do not start: Lambda hears of it as it would without the extension, and no record is
//! lost.

use std::{fs, process::Command, time::Duration};

use crate::function::{Function, Runtime};

async fn assert_recorded(mut function: Function, decisions: usize) {
    function.shutdown().await;
    assert_eq!(function.decisions().len(), decisions, "{}", function.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_crashes_ends_the_environment_and_the_next_one_goes_on() {
    let mut function = Function::of(Runtime::Python("app")).await;
    let invocation = function.invoke(r#"{"job":"crash"}"#).await;
    assert_eq!(invocation.failure.expect("a failure").error_type, "Runtime.ExitError");
    assert_eq!(function.answer(r#"{"job":"tidy"}"#).await["job"], "tidy");
    assert_recorded(function, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_takes_too_long_is_ended_and_the_next_environment_goes_on() {
    let shorter =
        |config: &mut aecp_integration_tests::lambda::Config| config.timeout = Duration::from_secs(5);
    let mut function = Function::with(Runtime::Python("app"), shorter).await;
    let invocation = function.invoke(r#"{"job":"sleep"}"#).await;
    assert_eq!(invocation.failure.expect("a failure").error_type, "Sandbox.Timedout");
    assert_eq!(function.answer(r#"{"job":"tidy"}"#).await["job"], "tidy");
    assert_recorded(function, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_raises_is_told_as_it_raised_it() {
    let mut function = Function::of(Runtime::Python("app")).await;
    let answer = function.invoke(r#"{"job":"raise"}"#).await.answer.expect("an answer");
    assert!(answer.is_error);
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told["errorType"], "ValueError");
    assert_eq!(told["errorMessage"], "no such job");
    assert_recorded(function, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_cannot_start_says_so_through_the_extension() {
    let no_start = ("NO_START".to_owned(), "yes".into());
    let mut function = Function::with(Runtime::Python("app"), |config| config.env.push(no_start)).await;
    let failure = function.emulator.init().await.unwrap_err();
    assert_eq!(failure.error_type, "Runtime.ImportModuleError", "{}", failure.message);
    assert!(failure.message.contains("this function cannot be imported"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_are_wrong_are_told_at_init_and_the_function_never_starts() {
    let wrong = |config: &mut aecp_integration_tests::lambda::Config| {
        config.env.push(("AECP_ROOT".to_owned(), "/nowhere/root.json".into()));
    };
    let mut function = Function::with(Runtime::Python("app"), wrong).await;
    let failure = function.invoke(r#"{"job":"tidy"}"#).await.failure.expect("a failure");
    assert!(failure.message.contains("/nowhere/root.json"), "{failure:?}");
    assert_eq!(function.seen(), "");
}

/// Lambda starts the runtime once all extensions are registered, however long they take from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_is_there_before_the_extension_is_ready_is_not_refused() {
    let mut function = Function::with(Runtime::Python("app"), |config| {
        let of = |name: &str| config.env.iter().find(|(known, _)| known == name).unwrap().1.clone();
        // A layer that takes for ever to read: nobody writes into its release's pointer.
        let pointer = std::path::PathBuf::from(of("AECP_LAYER_STATE")).join("channels/prod.json");
        fs::create_dir_all(pointer.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&pointer).status().unwrap().success());
        let proxy = of("AECP_PROXY").into_string().unwrap().replace(':', "', ");
        let connect = format!("import socket; socket.create_connection(('{proxy})); print('connected')");
        config.command = vec!["python3".into(), "-c".into(), connect.into()];
    })
    .await;
    let failure = function.emulator.init().await.unwrap_err();
    assert_eq!(failure.message, "the runtime ended: exit status: 0", "{}", function.output());
    assert!(function.output().contains("connected"));
}
