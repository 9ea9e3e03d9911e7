//! A function that asks the extension beside it, by itself, whether somebody may do something.
//! `{"who":"ann","action":"read","what":"report"}` is answered `{"allowed":true}`.

use std::{env, time::Duration};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Wish {
    who: String,
    action: String,
    what: String,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = env::var("AECP_LISTEN").unwrap_or_else(|_| "127.0.0.1:8180".to_owned());
    let url = format!("http://{address}/access/v1/evaluation");
    let client = reqwest::Client::builder().timeout(Duration::from_secs(1)).build()?;
    let handler = |event: LambdaEvent<Wish>| answer(&client, &url, event.payload);
    lambda_runtime::run(service_fn(handler)).await
}

async fn answer(client: &reqwest::Client, url: &str, wish: Wish) -> Result<Value, Error> {
    Ok(json!({ "allowed": is_allowed(client, url, &wish).await }))
}

/// Whether the policies allow it; not, if nobody can say so.
async fn is_allowed(client: &reqwest::Client, url: &str, wish: &Wish) -> bool {
    let question = json!({
        "subject": { "type": "user", "id": wish.who },
        "action": { "name": wish.action },
        "resource": { "type": "document", "id": wish.what },
    });
    let answer = async { client.post(url).json(&question).send().await?.json::<Value>().await };
    answer.await.is_ok_and(|answer| answer["decision"] == true)
}
