//! The samples of the decision API, each asked once for what is allowed and once for what is not.

use crate::{
    events::node_modules,
    function::{Function, Runtime},
};

async fn assert_asks(runtime: Runtime<'_>) {
    let mut function = Function::of(runtime).await;
    let mut allowed = async |who: &str, action: &str| {
        let wish = serde_json::json!({ "who": who, "action": action, "what": "report" });
        function.answer(wish.to_string()).await["allowed"].as_bool().expect("an answer")
    };
    assert!(allowed("ann", "read").await);
    assert!(!allowed("bob", "read").await);
    assert!(!allowed("ann", "delete").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_in_python_asks() {
    assert_asks(Runtime::Python("ask")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_in_rust_asks() {
    assert_asks(Runtime::Rust("ask")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs aws-lambda-ric, which compiles curl for minutes: needs node, npm, cmake, a C++ compiler and autotools"]
async fn the_sample_in_node_asks() {
    assert_asks(Runtime::Node("ask", node_modules())).await;
}
