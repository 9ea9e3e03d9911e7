//! One corpus of HTTP requests for all points of enforcement: 250 policies, any number of requests, and the decisions in a
//! form in which they can be compared byte by byte.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use aecp_contract::trust::TrustRoot;
use aecp_enforcer::{AuditConfig, Sidecar, SidecarConfig, server::Limits};
use serde_json::{Map, Value, json, value::RawValue};

use crate::generated::Random;

/// How many policies there are.
pub const POLICIES: usize = 250;

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE"];
const TENANTS: usize = 25;
const REGIONS: &[&str] = &["EU", "US", "AP"];
const ROLES: &[&str] = &["admin", "auditor", "clerk", "guest"];

/// The policies: over method, path, query, headers, the client's address and JSON bodies; blocking and advisory.
#[must_use]
pub fn set() -> String {
    let mut set = String::from(
        "SCHEMA {\n  request.query.amount: INT\n  request.headers.x_scopes: LIST<STRING>\n  body.amount: DECIMAL\n}\n",
    );
    for n in 0..POLICIES {
        let tenant = n % TENANTS;
        let scope = match n % 5 {
            0 => format!("request.headers.x_tenant = \"t{tenant}\""),
            1 => format!(
                "request.headers.x_tenant = \"t{tenant}\" AND request.method = \"{}\"",
                METHODS[n % 4]
            ),
            2 => format!("request.path STARTS WITH \"/t{tenant}/\""),
            3 => format!("request.query.region EXISTS AND request.headers.x_tenant = \"t{tenant}\""),
            _ => format!("body.amount EXISTS AND request.path STARTS WITH \"/t{tenant}\""),
        };
        let constraint = match n % 7 {
            0 => format!("request.query.amount <= {}", n % 90),
            1 => format!("request.query.region IN [\"EU\", \"{}\"]", REGIONS[n % 3]),
            2 => format!("request.headers.x_role != \"{}\"", ["admin", "auditor", "guest"][n % 3]),
            3 => format!("body.amount < {}.5", n % 100),
            4 => "request.headers.x_scopes CONTAINS \"write\"".to_owned(),
            5 => "source.ip IN CIDR \"127.0.0.0/8\" AND request.path EXISTS".to_owned(),
            _ => format!("request.headers.x_role IN [\"clerk\", \"{}\"]", ROLES[(n / 7) % 4]),
        };
        let enforcement = if n % 3 == 0 { "BLOCKING" } else { "ADVISORY" };
        let _ = writeln!(
            set,
            "POLICY p{n:03} {{\n  SCOPE: requests WHERE {scope}\n  CONSTRAINT: {constraint}\n  ENFORCEMENT: {enforcement}\n  AUDIT: NONE\n}}"
        );
    }
    set
}

/// One request of the corpus, from 127.0.0.1.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// Names and values, none of which needs an escape.
    pub query: Vec<(&'static str, String)>,
    /// Names in small letters, and values.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON body.
    pub body: Option<String>,
}

/// So many requests: with attributes missing, twice, and of wrong types.
pub fn requests(count: usize) -> impl Iterator<Item = Request> {
    let mut random = Random::new(7);
    (0..count).map(move |_| request(&mut random))
}

fn request(random: &mut Random) -> Request {
    let method = ["GET", "POST", "PUT", "DELETE"][random.below(4)];
    let path = match random.below(4) {
        0 => format!("/t{}/orders", random.below(TENANTS)),
        1 => format!("/t{}", random.below(TENANTS)),
        2 => format!("/other/%2e%2e//t{}", random.below(TENANTS)),
        _ => "/".to_owned(),
    };
    let mut query = Vec::new();
    if !random.once_in(3) {
        let amount = if random.once_in(10) { "many".to_owned() } else { random.below(120).to_string() };
        query.push(("amount", amount));
    }
    if random.once_in(2) {
        query.push(("region", random.pick(REGIONS).to_owned()));
    }
    if random.once_in(20) {
        query.push(("region", "EU".to_owned()));
    }
    let mut headers = Vec::new();
    if !random.once_in(5) {
        headers.push(("x-tenant", format!("t{}", random.below(TENANTS + 2))));
    }
    if random.once_in(2) {
        headers.push(("x-role", random.pick(ROLES).to_owned()));
    }
    for scope in ["read", "write"] {
        if random.once_in(2) {
            headers.push(("x-scopes", scope.to_owned()));
        }
    }
    let has_body = method != "GET" && random.once_in(2);
    let body = has_body.then(|| match random.below(5) {
        0 => "{}".to_owned(),
        1 => "{\"amount\":\"none\"}".to_owned(),
        _ => format!("{{\"amount\":{}.{},\"note\":[1,{{}}]}}", random.below(120), random.below(10)),
    });
    if body.is_some() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    Request { method, path, query, headers, body }
}

impl Request {
    /// Path and query, as a request's line has them.
    #[must_use]
    pub fn target(&self) -> String {
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    /// The same request as JSON attributes, as an application would give them to a sidecar: a parameter or header that
    /// comes twice is a list.
    #[must_use]
    pub fn attributes(&self) -> Value {
        let mut all = Map::new();
        all.insert("request.method".to_owned(), json!(self.method));
        all.insert("request.path".to_owned(), json!(self.path));
        all.insert("source.ip".to_owned(), json!("127.0.0.1"));
        let of = |pairs: &[(&str, String)], name: &str| -> Vec<String> {
            pairs.iter().filter(|(other, _)| *other == name).map(|(_, value)| value.clone()).collect()
        };
        for name in ["amount", "region"] {
            let value = match of(&self.query, name).as_slice() {
                [] => continue,
                [one] => one.parse::<i64>().map_or_else(|_| json!(one), |number| json!(number)),
                more => json!(more),
            };
            all.insert(format!("request.query.{name}"), value);
        }
        for (header, name) in [("x-tenant", "x_tenant"), ("x-role", "x_role")] {
            if let [one] = of(&self.headers, header).as_slice() {
                all.insert(format!("request.headers.{name}"), json!(one));
            }
        }
        let scopes = of(&self.headers, "x-scopes");
        if !scopes.is_empty() {
            all.insert("request.headers.x_scopes".to_owned(), json!(scopes));
        }
        if let Some(body) = &self.body {
            all.insert("body".to_owned(), serde_json::from_str(body).unwrap_or_default());
        }
        Value::Object(all)
    }
}

impl Request {
    /// The same request as an event of API Gateway (REST), as AWS Lambda gets it.
    #[must_use]
    pub fn event(&self) -> Value {
        let lists = |pairs: &[(&str, String)]| {
            let mut lists: Map<String, Value> = Map::new();
            for (name, value) in pairs {
                let list = lists.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut().expect("a list").push(json!(value));
            }
            lists
        };
        json!({
            "resource": "/{proxy+}",
            "path": self.path,
            "httpMethod": self.method,
            "multiValueHeaders": lists(&self.headers),
            "multiValueQueryStringParameters": lists(&self.query),
            "requestContext": { "identity": { "sourceIp": "127.0.0.1" }, "requestId": "1" },
            "body": self.body,
            "isBase64Encoded": false,
        })
    }
}

/// What a sidecar of this store and trust root answers to the requests, with its state in an empty folder.
///
/// # Panics
/// If it does not come to serve or to answer.
pub async fn by_sidecar(store: String, root: &Path, state: &Path, requests: &[Request]) -> Vec<String> {
    let sidecar = Sidecar::start(SidecarConfig {
        stores: vec![store],
        channel: "prod".parse().unwrap(),
        root: TrustRoot::pinned(&fs::read(root).unwrap()).unwrap(),
        state: state.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        poll: Duration::from_secs(60),
        point: None,
        limits: Limits::default(),
        explain: false,
        audit: AuditConfig::default(),
    });
    let sidecar = sidecar.await.unwrap();
    sidecar.enforcer().watch().wait_for(Option::is_some).await.unwrap();
    let (client, url) = (reqwest::Client::new(), format!("http://{}/v1/decisions", sidecar.address()));
    let mut lines = Vec::with_capacity(requests.len());
    for batch in requests.chunks(1000) {
        let batch: Vec<Value> = batch.iter().map(Request::attributes).collect();
        let answer = client.post(&url).json(&batch).send().await.unwrap().bytes().await.unwrap();
        let answers: Vec<Box<RawValue>> = serde_json::from_slice(&answer).unwrap();
        lines.extend(answers.iter().map(|line| line.get().to_owned()));
    }
    sidecar.stop().await.unwrap();
    lines
}

/// What a decision comes to, as a caller of any point of enforcement can see it: of a denial all that led to it, in the bytes
/// in which it was told; of what is allowed, the ADVISORY policies that it violates, by name.
///
/// `told` is the JSON of the denial, whatever stands before its findings; or of the whole decision.
///
/// # Panics
/// If there are no findings in it.
#[must_use]
pub fn denial(told: &str) -> String {
    let findings = told.find("\"violated\":").map(|start| &told[start..]).expect("findings in a denial");
    format!("DENY {findings}")
}

/// The same for what is allowed, with the names between commas.
#[must_use]
pub fn allowance(advisory: &str) -> String {
    format!("ALLOW {advisory}")
}

/// What a sidecar's answer comes to.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn of_sidecar(line: &str) -> String {
    if line.starts_with("{\"decision\":\"DENY\"") {
        return denial(line);
    }
    let line: Value = serde_json::from_str(line).expect("an answer");
    assert_eq!(line["decision"], "ALLOW");
    let violated = line["violated"].as_array().expect("a list").iter();
    let advisory = violated.filter(|policy| policy["enforcement"] == "ADVISORY");
    let names: Vec<&str> = advisory.filter_map(|policy| policy["policy"].as_str()).collect();
    allowance(&names.join(","))
}

/// What of a sidecar's answer a caller of AWS Lambda is told: of a denial the BLOCKING policies that led to it.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn told_by_lambda(line: &str) -> String {
    if !line.starts_with("{\"decision\":\"DENY\"") {
        return of_sidecar(line);
    }
    let line: Value = serde_json::from_str(line).expect("an answer");
    let against =
        ["violated", "indeterminate"].map(|list| line[list].as_array().expect("a list").clone());
    let blocking = against.iter().flatten().filter(|policy| policy["enforcement"] == "BLOCKING");
    let mut names: Vec<&str> = blocking.filter_map(|policy| policy["policy"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    denied_by(line["reason"].as_str().unwrap_or("denied"), &names)
}

/// A denial with this code, by these policies.
#[must_use]
pub fn denied_by(code: &str, policies: &[&str]) -> String {
    format!("DENY {code} {}", policies.join(","))
}
