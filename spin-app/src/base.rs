//! Where something lies on the web: the URL of a store, of an upstream, of a place for logs.

use std::str::FromStr;

use http::{Uri, uri::Scheme};

/// The part of a URL before the keys of objects, or before the paths of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) is_https: bool,
    /// Host, and port if it is not the scheme's.
    pub(crate) authority: String,
    /// Without the last `/`.
    path: String,
    /// Without its `?`: what some stores take instead of a header to let somebody in.
    query: Option<String>,
}

impl FromStr for Base {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.trim().parse().map_err(|_| "is not a URL")?;
        let is_https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err("must start with https:// or http://"),
        };
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("must not hold a user or password");
        }
        Ok(Self {
            is_https,
            authority: authority.to_string(),
            path: uri.path().trim_end_matches('/').to_owned(),
            query: uri.query().map(str::to_owned),
        })
    }
}

impl Base {
    /// Path and query of the object of this key.
    pub(crate) fn object(&self, key: &str) -> String {
        match &self.query {
            Some(query) => format!("{}/{key}?{query}", self.path),
            None => format!("{}/{key}", self.path),
        }
    }

    /// Path and query of a request with these: its own query, never that of the URL.
    pub(crate) fn request(&self, path: &str, query: Option<&str>) -> String {
        let slash = if path.starts_with('/') { "" } else { "/" };
        match query {
            Some(query) => format!("{}{slash}{path}?{query}", self.path),
            None => format!("{}{slash}{path}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_paths_stand_below_the_urls_own_path() {
        let base: Base = "https://acme.blob.example:8443/policies/?sig=x%3D".parse().unwrap();
        assert!(base.is_https);
        assert_eq!(base.authority, "acme.blob.example:8443");
        assert_eq!(base.object("channels/prod.json"), "/policies/channels/prod.json?sig=x%3D");
        assert_eq!(base.request("/a", Some("b=1")), "/policies/a?b=1");
        let base: Base = "http://127.0.0.1:9".parse().unwrap();
        assert!(!base.is_https);
        assert_eq!(base.object("root/1.json"), "/root/1.json");
        assert_eq!(base.request("/a//b/../c", None), "/a//b/../c");
        for bad in
            ["", "s3://bucket", "/path", "acme.example", "https://user:pass@acme.example", "https://"]
        {
            assert!(bad.parse::<Base>().is_err(), "{bad}");
        }
    }
}
