//! HTTP requests in the four forms that functions are given them in.
//!
//! Sources: API Gateway's payload formats 1.0 and 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>), function
//! URLs, which use 2.0, and load balancers
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>).

use std::collections::BTreeMap;

use aecp_contract::{
    request::{AttributeTable, HttpRequest, RequestError},
    slots::SlotBuffer,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::looks_like_json;

/// Where an HTTP request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// API Gateway, payload format 1.0: REST APIs, and HTTP APIs that ask for it.
    RestApi,
    /// API Gateway, payload format 2.0.
    HttpApi,
    /// A function URL.
    FunctionUrl,
    /// An application load balancer.
    LoadBalancer,
}

impl Source {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RestApi => "rest_api",
            Self::HttpApi => "http_api",
            Self::FunctionUrl => "function_url",
            Self::LoadBalancer => "alb",
        }
    }
}

/// An HTTP request out of an event.
pub(crate) struct HttpEvent<'a> {
    pub(crate) source: Source,
    /// Whether headers are lists: a load balancer wants its answer in the same form.
    pub(crate) multi_value: bool,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    client: Option<String>,
    principal: Principal<'a>,
    body: Option<String>,
    base64: bool,
}

#[derive(Serialize)]
struct Principal<'a> {
    arn: Option<String>,
    account: Option<String>,
    claims: Option<&'a RawValue>,
    authorizer: Option<&'a RawValue>,
}

type Texts = BTreeMap<String, Option<String>>;
type Lists = BTreeMap<String, Option<Vec<String>>>;

/// The members of all four forms.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    version: Option<String>,
    http_method: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    headers: Option<Texts>,
    multi_value_headers: Option<Lists>,
    query_string_parameters: Option<Texts>,
    multi_value_query_string_parameters: Option<Lists>,
    cookies: Option<Vec<String>>,
    #[serde(borrow)]
    request_context: Context<'a>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    domain_name: Option<String>,
    http: Option<Http>,
    identity: Option<Identity>,
    #[serde(borrow)]
    elb: Option<&'a RawValue>,
    #[serde(borrow)]
    authorizer: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    source_ip: Option<String>,
}

/// The caller in format 1.0.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
    user_arn: Option<String>,
    account_id: Option<String>,
}

/// What authorizers say: `claims` in format 1.0, the others in 2.0.
#[derive(Deserialize, Default)]
struct Authorizer<'a> {
    #[serde(borrow)]
    claims: Option<&'a RawValue>,
    iam: Option<Iam>,
    #[serde(borrow)]
    jwt: Option<Jwt<'a>>,
    #[serde(borrow)]
    lambda: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    user_arn: Option<String>,
    account_id: Option<String>,
}

#[derive(Deserialize)]
struct Jwt<'a> {
    #[serde(borrow)]
    claims: Option<&'a RawValue>,
}

impl<'a> HttpEvent<'a> {
    /// The request in these bytes; `None` if they are of no form of HTTP.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let form: Form<'a> = serde_json::from_slice(bytes).ok()?;
        let said = form.request_context.authorizer.map(RawValue::get);
        let authorizer = said.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        match (&form.version, &form.request_context.http) {
            (Some(version), Some(_)) if version == "2.0" => form.format_2(authorizer),
            _ => form.format_1(authorizer),
        }
    }

    /// Reads the request into slots.
    ///
    /// # Errors
    /// [`RequestError`], also for a JSON body that is none.
    pub(super) fn read(
        &self,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
        wants_body: bool,
    ) -> Result<(), RequestError> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let request = HttpRequest {
            method: &self.method,
            path: &self.path,
            query: Some(self.query.as_str()).filter(|query| !query.is_empty()),
            client: self.client.as_deref().and_then(|client| client.trim().parse().ok()),
            headers,
        };
        table.read_http(request, slots)?;
        let malformed = |error: &dyn std::fmt::Display| RequestError::Malformed(error.to_string());
        let principal = serde_json::to_vec(&self.principal).map_err(|error| malformed(&error))?;
        table.add_json("principal", &principal, slots)?;
        let Some(body) = self.body.as_ref().filter(|_| wants_body) else { return Ok(()) };
        if !self.base64 {
            return self.read_body(table, slots, body.as_bytes());
        }
        let body = BASE64_STANDARD.decode(body).map_err(|error| malformed(&error))?;
        self.read_body(table, slots, &body)
    }

    /// A body that says that it is JSON, or looks like it: a function may read the one as the other.
    fn read_body(
        &self,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
        body: &[u8],
    ) -> Result<(), RequestError> {
        if looks_like_json(body) || (self.says_json() && !body.trim_ascii().is_empty()) {
            table.add_json("body", body, slots)?;
        }
        Ok(())
    }

    fn says_json(&self) -> bool {
        self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).any(
            |(_, value)| {
                let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                media_type == "application/json" || media_type.ends_with("+json")
            },
        )
    }
}

impl<'a> Form<'a> {
    fn format_2(self, authorizer: Authorizer<'a>) -> Option<HttpEvent<'a>> {
        let http = self.request_context.http?;
        let mut headers = pairs(self.headers, None);
        if let Some(cookies) = self.cookies.filter(|cookies| !cookies.is_empty()) {
            headers.push(("cookie".to_owned(), cookies.join("; ")));
        }
        let is_url = self.request_context.domain_name.is_some_and(|name| name.contains(".lambda-url."));
        let iam = authorizer.iam;
        let (arn, account) = iam.map(|iam| (iam.user_arn, iam.account_id)).unwrap_or_default();
        let claims = authorizer.jwt.and_then(|jwt| jwt.claims);
        Some(HttpEvent {
            source: if is_url { Source::FunctionUrl } else { Source::HttpApi },
            multi_value: false,
            method: http.method,
            path: self.raw_path?,
            query: self.raw_query_string.unwrap_or_default(),
            headers,
            client: http.source_ip,
            principal: Principal { arn, account, claims, authorizer: authorizer.lambda },
            body: self.body,
            base64: self.is_base64_encoded,
        })
    }

    fn format_1(self, authorizer: Authorizer<'a>) -> Option<HttpEvent<'a>> {
        let context = self.request_context;
        let identity = context.identity.unwrap_or_default();
        let multi_value = self.multi_value_headers.is_some();
        let headers = pairs(self.headers, self.multi_value_headers);
        let parameters = pairs(self.query_string_parameters, self.multi_value_query_string_parameters);
        let source = if context.elb.is_some() { Source::LoadBalancer } else { Source::RestApi };
        // A load balancer leaves parameters as they were sent, API Gateway decodes them.
        let (query, client) = if source == Source::LoadBalancer {
            let sent: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let forwarded =
                headers.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
            let client = forwarded.and_then(|(_, value)| value.rsplit(',').next());
            (sent.join("&"), client.map(str::to_owned))
        } else {
            let query =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
            (query, identity.source_ip)
        };
        Some(HttpEvent {
            source,
            multi_value,
            method: self.http_method?,
            path: self.path?,
            query,
            headers,
            client,
            principal: Principal {
                arn: identity.user_arn,
                account: identity.account_id,
                claims: authorizer.claims,
                authorizer: context.authorizer,
            },
            body: self.body,
            base64: self.is_base64_encoded,
        })
    }
}

/// Names and values, from the lists where there are any: they hold all values, the texts only the last.
fn pairs(texts: Option<Texts>, lists: Option<Lists>) -> Vec<(String, String)> {
    if let Some(lists) = lists {
        let values = lists.into_iter().flat_map(|(name, values)| {
            values.unwrap_or_default().into_iter().map(move |value| (name.clone(), value))
        });
        return values.collect();
    }
    let texts = texts.unwrap_or_default().into_iter();
    texts.filter_map(|(name, value)| Some((name, value?))).collect()
}
