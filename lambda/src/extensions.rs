//! The Extensions API: registering, and waiting for what happens to the environment.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>. It is three calls beside those
//! that the proxy forwards, so they share its client.

use std::env;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{Method, Request, header::CONTENT_TYPE, http::HeaderValue};
use serde::Deserialize;

use crate::api::{Api, whole};

const REGISTER: &str = "/2020-01-01/extension/register";
const NEXT: &str = "/2020-01-01/extension/event/next";
const INIT_ERROR: &str = "/2020-01-01/extension/init/error";

const NAME: &str = "Lambda-Extension-Name";
const IDENTIFIER: &str = "Lambda-Extension-Identifier";
const ERROR_TYPE: &str = "Lambda-Extension-Function-Error-Type";

/// The most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// What happens to the environment.
#[derive(Debug, Deserialize)]
#[serde(tag = "eventType")]
pub(crate) enum Event {
    /// The function is invoked.
    #[serde(rename = "INVOKE")]
    Invoke {
        /// Milliseconds since 1970.
        #[serde(rename = "deadlineMs")]
        deadline: u64,
    },
    /// The environment ends.
    #[serde(rename = "SHUTDOWN")]
    Shutdown {
        /// `spindown`, `timeout` or `failure`.
        #[serde(rename = "shutdownReason", default)]
        reason: String,
        /// Milliseconds since 1970; after it, the process is killed.
        #[serde(rename = "deadlineMs")]
        deadline: u64,
    },
}

/// This extension, as Lambda knows it.
pub(crate) struct Extensions {
    api: Api,
    identifier: HeaderValue,
}

impl Extensions {
    /// Registers for INVOKE and SHUTDOWN.
    ///
    /// # Errors
    /// If Lambda refuses it.
    pub(crate) async fn register(api: Api) -> anyhow::Result<Self> {
        // Lambda knows extensions by the names of their files.
        let name = env::current_exe().context("this program's own name is not known")?;
        let name = name.file_name().and_then(|name| name.to_str()).unwrap_or("aecp-extension");
        let request = Request::post(REGISTER)
            .header(NAME, name)
            .header(CONTENT_TYPE, "application/json")
            .body(whole(r#"{"events":["INVOKE","SHUTDOWN"]}"#))?;
        let response = api.send(request).await.context("the Extensions API does not answer")?;
        let status = response.status();
        let identifier = response.headers().get(IDENTIFIER).cloned();
        let body = read(response.into_body()).await?;
        match identifier {
            Some(identifier) if status.is_success() => Ok(Self { api, identifier }),
            _ => bail!(
                "the extension cannot be registered ({status}): {}",
                String::from_utf8_lossy(&body)
            ),
        }
    }

    /// Says that the extension is done with the last event, and waits for the next one.
    ///
    /// # Errors
    /// If Lambda does not answer, or says what is not understood.
    pub(crate) async fn next(&self) -> anyhow::Result<Event> {
        let request =
            Request::get(NEXT).header(IDENTIFIER, &self.identifier).body(whole(Bytes::new()))?;
        let response = self.api.send(request).await.context("the Extensions API does not answer")?;
        let status = response.status();
        let body = read(response.into_body()).await?;
        if !status.is_success() {
            bail!("the Extensions API gives no event ({status}): {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).context("the Extensions API gives an event that is not understood")
    }

    /// Tells Lambda that the extension cannot start; the environment ends then, and no invocation is served.
    pub(crate) async fn failed(&self, message: &str) {
        let body = serde_json::json!({
            "errorMessage": message, "errorType": "AECP.CannotStart", "stackTrace": []
        });
        let request = Request::builder()
            .method(Method::POST)
            .uri(INIT_ERROR)
            .header(IDENTIFIER, &self.identifier)
            .header(ERROR_TYPE, "AECP.CannotStart")
            .body(whole(body.to_string()));
        let Ok(request) = request else { return };
        if let Err(error) = self.api.send(request).await {
            tracing::error!(%error, "Lambda cannot be told");
        }
    }
}

async fn read(body: hyper::body::Incoming) -> anyhow::Result<Bytes> {
    let read = Limited::new(body, MAX_ANSWER).collect().await;
    Ok(read
        .map_err(|error| anyhow::anyhow!("the Extensions API's answer cannot be read: {error}"))?
        .to_bytes())
}
