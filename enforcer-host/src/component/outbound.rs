//! What a component may ask of the network: HTTP requests to hosts that are allowed by name, and nothing else.

use std::{
    fmt,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{
    Request, Response, Uri,
    uri::{Authority, Scheme},
};
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::body::Bounded;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take to begin, and may pause, at most.
const LONGEST: Duration = Duration::from_secs(60);

/// Requests under way at once, of all instances.
const MAX_REQUESTS: usize = 512;

/// Connections that rest, for each host.
const MAX_IDLE: usize = 64;

/// A host that components may ask: `name` or `name:port`. Without a port it is the scheme's own, 443 or 80.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl FromStr for AllowedHost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected the name of a host, perhaps with a port, such as `s3.example.com` or `localhost:9000`";
        let authority: Authority = text.parse().map_err(|_| wrong)?;
        let port = authority.port_u16();
        let names_one = match port {
            Some(port) => authority.as_str() == format!("{}:{port}", authority.host()),
            None => authority.as_str() == authority.host(),
        };
        if !names_one || authority.host().is_empty() || authority.host().contains('*') {
            return Err(wrong);
        }
        Ok(Self { host: authority.host().to_ascii_lowercase(), port })
    }
}

impl AllowedHost {
    fn allows(&self, uri: &Uri) -> bool {
        let own = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&self.host))
            && uri.port_u16().unwrap_or(own) == self.port.unwrap_or(own)
    }
}

/// The way out, shared by all instances.
#[derive(Clone)]
pub(super) struct Outbound {
    allowed: Arc<[AllowedHost]>,
    client: Client<HttpsConnector<HttpConnector>, WasiBody>,
    under_way: Arc<Semaphore>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl Outbound {
    /// A way out to these hosts.
    ///
    /// # Errors
    /// TLS, if the machine's certificates cannot be used.
    pub(super) fn new(allowed: Vec<AllowedHost>) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|error| error.to_string())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        let under_way = Arc::new(Semaphore::new(MAX_REQUESTS));
        Ok(Self { allowed: allowed.into(), client, under_way })
    }

    async fn send(
        self,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Response<WasiBody>, Error> {
        let uri = request.uri();
        if !self.allowed.iter().any(|host| host.allows(uri)) {
            tracing::warn!(
                host = uri.authority().map_or("", Authority::as_str),
                "a component may not ask this host; allow it with --allow-outbound"
            );
            return Err(Error::HttpRequestDenied);
        }
        let permit = Arc::clone(&self.under_way).try_acquire_owned();
        let permit = permit.map_err(|_| Error::ConnectionLimitReached)?;
        let connect = options.connect_timeout.unwrap_or(CONNECT).min(CONNECT);
        let first = options.first_byte_timeout.unwrap_or(LONGEST).min(LONGEST);
        let pause = options.between_bytes_timeout.unwrap_or(LONGEST).min(LONGEST);
        let answer = tokio::time::timeout(connect.saturating_add(first), self.client.request(request));
        let answer = answer.await.map_err(|_| Error::ConnectionReadTimeout)?.map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "a component's request failed");
            if error.is_connect() { Error::DestinationUnavailable } else { Error::HttpProtocolError }
        })?;
        Ok(answer.map(|body| {
            let body = body.map_err(Error::from);
            Bounded::new(body, Instant::now() + pause, Error::ConnectionReadTimeout)
                .renewed_by_each_frame(pause)
                .holding(permit)
                .boxed_unsync()
        }))
    }
}

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let sending = self.clone().send(request, options.unwrap_or_default());
        Box::new(async move {
            let answer = sending.await?;
            // The client's own tasks drive the connection.
            let driver: Box<dyn Future<Output = _> + Send> = Box::new(async { Ok(()) });
            Ok((answer, driver))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_with_its_port_or_with_the_schemes_own() {
        let allows = |allowed: &str, uri: &str| {
            allowed.parse::<AllowedHost>().unwrap().allows(&uri.parse().unwrap())
        };
        assert!(allows("s3.example.com", "https://S3.example.com/key"));
        assert!(allows("s3.example.com", "http://s3.example.com:80/key"));
        assert!(allows("s3.example.com:443", "https://s3.example.com/key"));
        assert!(allows("localhost:9000", "http://localhost:9000/"));
        assert!(allows("[::1]:9000", "http://[::1]:9000/"));
        assert!(!allows("s3.example.com", "https://s3.example.com:8443/key"));
        assert!(!allows("s3.example.com:443", "http://s3.example.com/key"));
        assert!(!allows("example.com", "https://s3.example.com/"));
        assert!(!allows("s3.example.com", "https://s3.example.com@evil.example/"));
        for wrong in [
            "",
            "*",
            "*.example.com",
            "https://a.example",
            "a b",
            "u@a.example",
            "a.example:99999",
            "a:",
        ] {
            assert!(wrong.parse::<AllowedHost>().is_err(), "{wrong}");
        }
    }
}
