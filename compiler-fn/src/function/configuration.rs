//! What the environment says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use aecp_compiler::{
    hosted::{Hosted, event::Place},
    keys,
    publish::Store,
};
use aecp_contract::{
    trust::TrustRoot,
    value::{Duration, Timestamp},
};

use zeroize::Zeroizing;

use crate::{notify::Notifier, telemetry::Telemetry, work::Function};

/// The most bytes of a key or trust root in a file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where the function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// AWS Lambda.
    Lambda,
    /// Google Cloud Run, or an Azure Functions host beside it.
    Http {
        /// Where it is to listen.
        address: SocketAddr,
        /// Whether answers are those of an Azure custom handler.
        azure: bool,
    },
}

type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The platform, and the function as it is configured.
pub(crate) async fn from_environment(variable: Variables<'_>) -> Result<(Platform, Function), String> {
    let platform = platform(variable)?;
    let urls = needed(variable, "AECP_STORE")?;
    let (store, replicas) = Store::open_all(&[urls]).map_err(|error| format!("AECP_STORE: {error}"))?;
    let place = Place::of_store(store.name()).ok_or("AECP_STORE names no bucket or container")?;
    let keys = Zeroizing::new(text_or_file(variable, "AECP_KEY", &["-----BEGIN", "{"])?);
    let keys = keys::open_all(&keys).await.map_err(|error| format!("AECP_KEY: {error}"))?;
    let root = text_or_file(variable, "AECP_ROOT", &["{"])?.into_bytes();
    TrustRoot::pinned(&root).map_err(|refusal| format!("AECP_ROOT: {refusal}"))?;
    let expires = duration(variable, "AECP_EXPIRES", "90d")?;
    let stale_after = duration(variable, "AECP_STALE_AFTER", "30d")?;
    if expires.0 <= 0 || stale_after.0 < 0 {
        return Err("AECP_EXPIRES must be above zero and AECP_STALE_AFTER not below it".to_owned());
    }
    let renew_within = duration(variable, "AECP_RENEW_WITHIN", "14d")?;
    let hosted = Hosted { store, replicas, keys, root, expires, stale_after, clock: now };
    let notifier = variable("AECP_NOTIFY").filter(|url| !url.trim().is_empty());
    let notifier = notifier.map(|url| Notifier::new(&url)).transpose();
    let notifier = notifier.map_err(|error| format!("AECP_NOTIFY: {error}"))?;
    let telemetry = match platform {
        Platform::Lambda => Telemetry::new("lambda", variable("AWS_LAMBDA_FUNCTION_NAME")),
        Platform::Http { azure: true, .. } => Telemetry::new("azure_functions", None),
        Platform::Http { .. } => Telemetry::new("cloud_run", None),
    };
    Ok((platform, Function::new(hosted, place, renew_within, telemetry, notifier)))
}

fn platform(variable: Variables<'_>) -> Result<Platform, String> {
    if variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        return Ok(Platform::Lambda);
    }
    let port = |name: &str, text: String| {
        text.parse::<u16>().map_err(|_| format!("{name} is `{text:.20}`, which is no port"))
    };
    // The host of Azure is on the same machine; Cloud Run's front end is not.
    let http = |ip: Ipv4Addr, port, azure| Platform::Http {
        address: SocketAddr::new(IpAddr::V4(ip), port),
        azure,
    };
    if let Some(text) = variable("FUNCTIONS_CUSTOMHANDLER_PORT") {
        return Ok(http(Ipv4Addr::LOCALHOST, port("FUNCTIONS_CUSTOMHANDLER_PORT", text)?, true));
    }
    if variable("K_SERVICE").is_some() {
        let text = variable("PORT").unwrap_or_else(|| "8080".to_owned());
        return Ok(http(Ipv4Addr::UNSPECIFIED, port("PORT", text)?, false));
    }
    Err("this is no function of AWS Lambda (AWS_LAMBDA_RUNTIME_API), Google Cloud Run (K_SERVICE) or Azure Functions \
         (FUNCTIONS_CUSTOMHANDLER_PORT)"
        .to_owned())
}

fn needed(variable: Variables<'_>, name: &str) -> Result<String, String> {
    let text = variable(name).filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| format!("{name} is not set"))
}

/// The variable's own text if it begins as it can, else that of the file that it names.
fn text_or_file(variable: Variables<'_>, name: &str, beginnings: &[&str]) -> Result<String, String> {
    use std::io::Read as _;
    let text = needed(variable, name)?;
    if beginnings.iter().any(|beginning| text.trim_start().starts_with(beginning)) {
        return Ok(text);
    }
    let mut read = String::new();
    // Neither the path nor what is in it is told: either may be the secret itself.
    let file = std::fs::File::open(text.trim());
    let file = file.and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut read));
    file.map_err(|error| {
        format!("{name} is neither what it should be nor a file that can be read: {error}")
    })?;
    Ok(read)
}

fn duration(variable: Variables<'_>, name: &str, otherwise: &str) -> Result<Duration, String> {
    let text = variable(name).unwrap_or_else(|| otherwise.to_owned());
    text.parse().map_err(|_| format!("{name} is `{text:.40}`, which is no duration such as 90d"))
}

/// The system's clock; 1970 if it stands before that.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    Timestamp { seconds, nanoseconds: since.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Platform, String> {
        platform(&|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_platform_is_recognised_by_what_it_sets() {
        assert_eq!(of(&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")]), Ok(Platform::Lambda));
        let http = |text: &str, azure| Ok(Platform::Http { address: text.parse().unwrap(), azure });
        assert_eq!(of(&[("K_SERVICE", "x"), ("PORT", "8081")]), http("0.0.0.0:8081", false));
        assert_eq!(of(&[("K_SERVICE", "x")]), http("0.0.0.0:8080", false));
        assert_eq!(of(&[("FUNCTIONS_CUSTOMHANDLER_PORT", "7071")]), http("127.0.0.1:7071", true));
        assert!(of(&[("FUNCTIONS_CUSTOMHANDLER_PORT", "x")]).is_err());
        assert!(of(&[("PORT", "80")]).unwrap_err().contains("K_SERVICE"));
    }

    #[tokio::test]
    async fn a_missing_or_wrong_key_is_told_without_showing_it() {
        let told = async |key: &'static str| {
            let variables = move |name: &str| match name {
                "K_SERVICE" => Some("x".to_owned()),
                "AECP_STORE" => Some("file:///tmp/x".to_owned()),
                "AECP_KEY" => Some(key.to_owned()).filter(|key| !key.is_empty()),
                _ => None,
            };
            from_environment(&variables).await.err().unwrap()
        };
        assert_eq!(told("").await, "AECP_KEY is not set");
        for secret in ["-----BEGIN PRIVATE KEY-----secret", "{\"secret\":1}", "secret"] {
            let told = told(secret).await;
            assert!(told.contains("AECP_KEY") && !told.contains("secret"), "{told}");
        }
    }
}
