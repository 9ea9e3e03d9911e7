//! Google Cloud KMS: a symmetric key, with the calls `encrypt` and `decrypt`.
//!
//! Source: <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt>.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Asked, KeyError, KeyService, Secret,
    http::{Answer, Client},
    variable,
};

const SERVICE: &str = "Google Cloud KMS";

/// A key, `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
pub(super) struct Kms {
    key: String,
    endpoint: String,
    credentials: GcpCredentialProvider,
    client: Client,
}

impl Kms {
    /// The key, asked for with the credentials that stores on Google Cloud are asked with; `None` if that is no key's name.
    pub(super) fn new(key: &str) -> Option<Result<Self, KeyError>> {
        let parts: Vec<&str> = key.split('/').collect();
        let ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _] = parts[..] else {
            return None;
        };
        Some(Self::open(key))
    }

    fn open(key: &str) -> Result<Self, KeyError> {
        let endpoint = variable("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS");
        let endpoint = endpoint.unwrap_or_else(|| "https://cloudkms.googleapis.com/".to_owned());
        // No bucket is asked for anything: its builder knows how credentials are found.
        let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name("none");
        let store = builder
            .build()
            .map_err(|error| KeyError::Unconfigured { service: SERVICE, detail: error.to_string() })?;
        let credentials = store.credentials().clone();
        let client = Client::new(SERVICE, &endpoint)?;
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self { key: key.to_owned(), endpoint, credentials, client })
    }

    async fn call(&self, operation: &str, body: &serde_json::Value) -> Result<Answer, KeyError> {
        let url = format!("{}/v1/{}:{operation}", self.endpoint, self.key);
        let request = self.client.post(&url, "application/json", body.to_string().into_bytes())?;
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| self.client.failed(&error.to_string()))?;
        self.client.ask(self.client.authorized(request, &credential.bearer)?).await
    }
}

impl KeyService for Kms {
    fn reference(&self) -> String {
        format!("gcpkms://{}", self.key)
    }

    fn wrap<'a>(&'a self, secret: &'a [u8], context: &'a str) -> Asked<'a, (Vec<u8>, String)> {
        Box::pin(async move {
            let body = json!({
                "plaintext": *Zeroizing::new(BASE64_STANDARD.encode(secret)),
                "additionalAuthenticatedData": BASE64_STANDARD.encode(context),
            });
            let wrapped = self.call("encrypt", &body).await?.bytes("ciphertext")?.to_vec();
            Ok((wrapped, self.reference()))
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a str) -> Asked<'a, Secret> {
        Box::pin(async move {
            let body = json!({
                "ciphertext": BASE64_STANDARD.encode(wrapped),
                "additionalAuthenticatedData": BASE64_STANDARD.encode(context),
            });
            self.call("decrypt", &body).await?.bytes("plaintext")
        })
    }
}
