//! The HTTP client for Lambda's own API, which the Runtime API and the Extensions API share.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    header::{self, HeaderMap},
    http::uri::{Authority, PathAndQuery, Scheme},
};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A body that goes either way, whole or as it comes.
pub(crate) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A whole body.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Lambda's API at its address. It never gives up waiting: `next` answers when there is something, and the environment
/// may be frozen for hours meanwhile.
#[derive(Clone)]
pub(crate) struct Api {
    authority: Authority,
    client: Client<HttpConnector, Body>,
}

impl Api {
    /// The API at `AWS_LAMBDA_RUNTIME_API`, which is a host and a port.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn new(address: &str) -> anyhow::Result<Self> {
        let authority = address
            .parse()
            .with_context(|| format!("AWS_LAMBDA_RUNTIME_API `{address}` is no host and port"))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self { authority, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Sends a request whose URI is a path.
    ///
    /// # Errors
    /// The connection's.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, Error> {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        uri.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        // All three parts are there, so that this is a URI.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        self.client.request(request).await
    }
}

/// Takes out the headers that are of one connection alone (RFC 9110, section 7.6.1), and `expect`, which is answered here.
/// `trailer` stays: a response that is streamed says by trailers how it ended.
pub(crate) fn without_connection(headers: &mut HeaderMap) {
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
    headers.remove(header::EXPECT);
    headers.remove("keep-alive");
}
