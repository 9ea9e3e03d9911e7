//! Word of each report to one receiver that the operator names: a notice that the judicial keys sign, by one POST. What
//! becomes of it changes nothing of the upload.

use std::time::Duration;

use aecp_compiler::hosted::Answered;
use aecp_contract::report::Notice;
use ed25519_dalek::SigningKey;
use http::{Method, Request, header::CONTENT_TYPE};
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector as _, HttpErrorKind, HttpRequest, HttpRequestBody, ReqwestConnector,
    },
};
use url::{Host, Url};

/// How long the whole request may take.
const TIME: Duration = Duration::from_secs(5);

/// The media type of DSSE envelopes.
const MEDIA_TYPE: &str = "application/vnd.dsse+json";

/// Notifies one receiver.
pub(crate) struct Notifier {
    http: HttpClient,
    /// May hold a secret of the receiver's, so it is never told.
    url: Url,
}

impl Notifier {
    /// Of the receiver's URL: `https://…`, or `http://…` on this machine.
    ///
    /// # Errors
    /// The URL is another.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let url = Url::parse(url.trim()).map_err(|error| format!("it is no URL: {error}"))?;
        let is_plain = url.scheme() == "http" && is_loopback(&url);
        if url.scheme() != "https" && !is_plain {
            return Err("it must be https://…, or http://… on this machine".to_owned());
        }
        let options = ClientOptions::new().with_timeout(TIME).with_allow_http(is_plain);
        let http = ReqwestConnector::default().connect(&options).map_err(|error| error.to_string())?;
        Ok(Self { http, url })
    }

    /// Sends the notice of a report.
    ///
    /// # Errors
    /// Why the receiver did not take it.
    pub(crate) async fn tell(&self, answered: &Answered, keys: &[SigningKey]) -> Result<(), String> {
        let keys: Vec<&SigningKey> = keys.iter().collect();
        let notice = Notice::of(&answered.report, format!("{}.json", answered.key)).sign(&keys);
        let request: HttpRequest = Request::builder()
            .method(Method::POST)
            .uri(self.url.as_str())
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .body(HttpRequestBody::from(notice.to_json()))
            .map_err(|error| error.to_string())?;
        match tokio::time::timeout(TIME, self.http.execute(request)).await {
            Ok(Ok(response)) if response.status().is_success() => Ok(()),
            Ok(Ok(response)) => Err(format!("the receiver answered {}", response.status().as_u16())),
            Ok(Err(error)) => Err(match error.kind() {
                HttpErrorKind::Connect => "the receiver cannot be reached",
                HttpErrorKind::Timeout => "the receiver did not answer in time",
                _ => "the receiver broke the connection, or does not speak HTTP",
            }
            .to_owned()),
            Err(_) => Err("the receiver did not answer in time".to_owned()),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_told_in_clear() {
        for good in [
            "https://hooks.example/aecp?x=1",
            "http://127.0.0.1:8080/",
            "http://localhost/",
            "http://[::1]/",
        ] {
            assert!(Notifier::new(good).is_ok(), "{good}");
        }
        for bad in ["http://hooks.example/", "http://127.0.0.1.example/", "file:///tmp/x", "secret"] {
            let told = Notifier::new(bad).err().unwrap();
            assert!(!told.contains(bad), "{told}");
        }
    }
}
