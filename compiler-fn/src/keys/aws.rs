//! AWS KMS: a symmetric key, with the calls `Encrypt` and `Decrypt`.
//!
//! Source: <https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html>.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredentialProvider};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Asked, KeyError, KeyService, Secret,
    http::{Answer, Client},
    variable,
};

const SERVICE: &str = "AWS KMS";

/// A key: its id, its ARN, or `alias/…`.
pub(super) struct Kms {
    key: String,
    region: String,
    endpoint: String,
    credentials: AwsCredentialProvider,
    client: Client,
}

impl Kms {
    /// The key, asked for with the credentials that stores on S3 are asked with.
    pub(super) fn new(key: &str) -> Result<Self, KeyError> {
        let unconfigured = |detail: String| KeyError::Unconfigured { service: SERVICE, detail };
        let of_arn = key.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
        let region = of_arn.map(str::to_owned);
        let region =
            region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| unconfigured("AWS_REGION is not set".to_owned()))?;
        let endpoint = variable("AWS_ENDPOINT_URL_KMS")
            .unwrap_or_else(|| format!("https://kms.{region}.amazonaws.com"));
        // No bucket is asked for anything: its builder knows how credentials are found.
        let builder = AmazonS3Builder::from_env().with_bucket_name("none").with_region(&region);
        let store = builder.build().map_err(|error| unconfigured(error.to_string()))?;
        let credentials = store.credentials().clone();
        let client = Client::new(SERVICE, &endpoint)?;
        Ok(Self { key: key.to_owned(), region, endpoint, credentials, client })
    }

    async fn call(&self, operation: &str, body: &serde_json::Value) -> Result<Answer, KeyError> {
        let body = body.to_string().into_bytes();
        let mut request = self.client.post(&self.endpoint, "application/x-amz-json-1.1", body)?;
        let target = HeaderValue::from_str(&format!("TrentService.{operation}"));
        let target = target.map_err(|error| self.client.failed(&error.to_string()))?;
        request.headers_mut().insert("x-amz-target", target);
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| self.client.failed(&error.to_string()))?;
        AwsAuthorizer::new(&credential, "kms", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| self.client.failed(&error.to_string()))?;
        self.client.ask(request).await
    }
}

impl KeyService for Kms {
    fn reference(&self) -> String {
        format!("awskms:///{}", self.key)
    }

    fn wrap<'a>(&'a self, secret: &'a [u8], context: &'a str) -> Asked<'a, (Vec<u8>, String)> {
        Box::pin(async move {
            let body = json!({
                "KeyId": self.key,
                "Plaintext": *Zeroizing::new(BASE64_STANDARD.encode(secret)),
                "EncryptionContext": { "aecp-public-key": context },
            });
            let answer = self.call("Encrypt", &body).await?;
            let wrapped = answer.bytes("CiphertextBlob")?.to_vec();
            Ok((wrapped, format!("awskms:///{}", answer.text("KeyId")?)))
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a str) -> Asked<'a, Secret> {
        Box::pin(async move {
            let body = json!({
                "KeyId": self.key,
                "CiphertextBlob": BASE64_STANDARD.encode(wrapped),
                "EncryptionContext": { "aecp-public-key": context },
            });
            self.call("Decrypt", &body).await?.bytes("Plaintext")
        })
    }
}
