//! Azure Key Vault: an RSA key, with the calls `wrapkey` and `unwrapkey`.
//!
//! Source: <https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key>. Tokens come from the managed identity of the
//! function, or are asked for with the secret of a service principal.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::HeaderName;
use serde_json::json;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{
    Asked, KeyError, KeyService, Secret,
    http::{Answer, Client},
    variable,
};

const SERVICE: &str = "Azure Key Vault";

/// RSAES with OAEP and SHA-256: the strongest that all vaults have.
const ALGORITHM: &str = "RSA-OAEP-256";

const API_VERSION: &str = "7.4";

/// What tokens are for.
const RESOURCE: &str = "https://vault.azure.net";

/// A key, `VAULT/KEY` or `VAULT/KEY/VERSION`; the vault is a host, such as `name.vault.azure.net`.
pub(super) struct Vault {
    vault: String,
    key: String,
    endpoint: String,
    client: Client,
}

impl Vault {
    /// The key; `None` if that is no key's name.
    pub(super) fn new(name: &str) -> Option<Result<Self, KeyError>> {
        let (vault, key) = name.split_once('/')?;
        let parts = key.split('/').count();
        if vault.is_empty() || parts > 2 || key.split('/').any(str::is_empty) {
            return None;
        }
        Some(Self::open(vault, key))
    }

    fn open(vault: &str, key: &str) -> Result<Self, KeyError> {
        // An emulator's address, as the clouds' other tools have such variables.
        let endpoint = variable("AZURE_KEYVAULT_ENDPOINT");
        let endpoint = endpoint.unwrap_or_else(|| format!("https://{vault}"));
        let client = Client::new(SERVICE, &endpoint)?;
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self { vault: vault.to_owned(), key: key.to_owned(), endpoint, client })
    }

    async fn call(&self, operation: &str, value: &[u8]) -> Result<Answer, KeyError> {
        let url = format!("{}/keys/{}/{operation}?api-version={API_VERSION}", self.endpoint, self.key);
        let value = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(value));
        let body = json!({ "alg": ALGORITHM, "value": *value }).to_string().into_bytes();
        let request = self.client.post(&url, "application/json", body)?;
        self.client.ask(self.client.authorized(request, &self.token().await?)?).await
    }

    /// A token for vaults.
    async fn token(&self) -> Result<String, KeyError> {
        let client_id = variable("AZURE_CLIENT_ID");
        let identity = (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER"));
        if let (Some(endpoint), Some(header)) = identity {
            let mut query = vec![("resource", RESOURCE), ("api-version", "2019-08-01")];
            query.extend(client_id.as_deref().map(|id| ("client_id", id)));
            let client = Client::new(SERVICE, &endpoint)?;
            let mut request = client.get(&format!("{endpoint}?{}", form(&query)))?;
            let name = HeaderName::from_static("x-identity-header");
            request.headers_mut().insert(name, client.secret(&header)?);
            return client.ask(request).await?.text("access_token");
        }
        let principal = (variable("AZURE_TENANT_ID"), client_id, variable("AZURE_CLIENT_SECRET"));
        let (Some(tenant), Some(client_id), Some(secret)) = principal else {
            let detail = "there is no managed identity (IDENTITY_ENDPOINT, IDENTITY_HEADER), and AZURE_TENANT_ID, \
                          AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are not all set";
            return Err(KeyError::Unconfigured { service: SERVICE, detail: detail.to_owned() });
        };
        let authority = variable("AZURE_AUTHORITY_HOST");
        let authority = authority.unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &client_id),
            ("client_secret", &secret),
            ("scope", &format!("{RESOURCE}/.default")),
        ]);
        let client = Client::new(SERVICE, &authority)?;
        let url = format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/'));
        let request = client.post(&url, "application/x-www-form-urlencoded", body.into_bytes())?;
        client.ask(request).await?.text("access_token")
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl KeyService for Vault {
    fn reference(&self) -> String {
        format!("azurekms://{}/{}", self.vault, self.key)
    }

    /// A vault binds nothing to what it wraps; that the right key comes out is checked by its public key.
    fn wrap<'a>(&'a self, secret: &'a [u8], _context: &'a str) -> Asked<'a, (Vec<u8>, String)> {
        Box::pin(async move {
            let answer = self.call("wrapkey", secret).await?;
            let wrapped = answer.bytes("value")?.to_vec();
            // Unwrapping needs the version that wrapped: https://VAULT/keys/KEY/VERSION.
            let id = answer.text("kid")?;
            let key = id.split_once("/keys/").map(|(_, key)| key);
            let key = key.ok_or_else(|| self.client.failed("the answer names no key"))?;
            Ok((wrapped, format!("azurekms://{}/{key}", self.vault)))
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], _context: &'a str) -> Asked<'a, Secret> {
        Box::pin(async move { self.call("unwrapkey", wrapped).await?.bytes("value") })
    }
}
