//! A function that answers with its event, byte for byte, and writes it into the file `SEEN`, if there is such a variable.
//! The tests run it behind the extension.

use std::{env, fs::File, io::Write as _};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(echo)).await
}

async fn echo(event: LambdaEvent<Box<RawValue>>) -> Result<Box<RawValue>, Error> {
    if let Ok(path) = env::var("SEEN") {
        let mut seen = File::options().create(true).append(true).open(path)?;
        write!(seen, "{}\0", event.payload.get())?;
    }
    Ok(event.payload)
}
