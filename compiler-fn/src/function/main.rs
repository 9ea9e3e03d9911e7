//! `aecp-compiler-fn`: the hosted compiler as a function of AWS Lambda, Google Cloud Run or Azure Functions, which it
//! recognises by what each of them sets in the environment.
//!
//! | variable | |
//! |---|---|
//! | `AECP_STORE` | the store's URL: `s3://…`, `gs://…`, `az://…` or `file:///…`; of several, separated by commas or white space, the first has the inbox and gives the serials |
//! | `AECP_KEY` | the judicial keys, PKCS#8 PEM or wrapped by a key management service, or the path of a file with them |
//! | `AECP_ROOT` | the enforcers' trust root, JSON, or the path of a file with it |
//! | `AECP_EXPIRES`, `AECP_STALE_AFTER` | of releases; 90d and 30d unless they are set |
//! | `AECP_RENEW_WITHIN` | how long before a release expires a schedule's event warns of it; 14d unless it is set |
//! | `AECP_NOTIFY` | the URL of a receiver that is notified of each report |
//!
//! It logs one JSON object a line to standard output.

mod configuration;
mod http;
mod notify;
mod telemetry;
mod work;

use std::{process::ExitCode, sync::Arc};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

use crate::{
    configuration::{Platform, from_environment},
    telemetry::log,
    work::Function,
};

#[tokio::main]
async fn main() -> ExitCode {
    let run = async {
        let (platform, function) = from_environment(&|name| std::env::var(name).ok()).await?;
        run(platform, Arc::new(function)).await
    };
    match run.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            log(&serde_json::json!({ "level": "error", "message": reason }));
            ExitCode::FAILURE
        }
    }
}

async fn run(platform: Platform, function: Arc<Function>) -> Result<(), String> {
    match platform {
        Platform::Lambda => {
            let handler = service_fn(|event: LambdaEvent<Value>| {
                let function = function.clone();
                async move {
                    let trace = event.context.xray_trace_id.as_deref();
                    function.event(event.payload.to_string().as_bytes(), None, trace).await
                }
            });
            lambda_runtime::run(handler).await.map_err(|error| error.to_string())
        }
        Platform::Http { address, azure } => http::serve(address, azure, function).await,
    }
}
