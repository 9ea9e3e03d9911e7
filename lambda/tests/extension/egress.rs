//! Decisions on answers, and what policies oblige to do to them.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use aecp_integration_tests::{lambda::MAX_PAYLOAD, published::Published};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    environment::{Environment, within},
    lambda::Posted,
    records::{DENIED, GOOD, batch, failures, ids},
};

const POLICIES: &str = r#"
POLICY numbers_are_masked {
  SCOPE: requests WHERE request.path EXISTS AND request.path == "/customers"
  CONSTRAINT: response.status < 500
  ENFORCEMENT: BLOCKING
  AT: [EGRESS]
  AUDIT: REQUIRED
  MASK: customer.ssn WITH LAST(4)
}
POLICY no_secrets {
  SCOPE: requests WHERE (event.job EXISTS OR request.path EXISTS AND request.path == "/files")
    AND response.body.secret EXISTS
  CONSTRAINT: response.body.secret != "s3cret"
  ENFORCEMENT: BLOCKING
  AT: [EGRESS]
  AUDIT: REQUIRED
}
POLICY hidden {
  SCOPE: requests WHERE event.job EXISTS AND response.body.secret EXISTS
  CONSTRAINT: response.body.secret != "s3cret"
  ENFORCEMENT: AUDIT_ONLY
  AT: [EGRESS]
}
"#;

/// Of batches, and of what is asked for directly.
const BATCHES: &str = r#"
POLICY small_orders {
  SCOPE: requests WHERE body.amount EXISTS
  CONSTRAINT: body.amount <= 100
  ENFORCEMENT: BLOCKING
  AT: [INGRESS]
}
POLICY no_leaks {
  SCOPE: requests WHERE lambda.event EXISTS AND lambda.event IN ["sqs", "json"]
  CONSTRAINT: response.body.leak IS MISSING
  ENFORCEMENT: BLOCKING
  AT: [EGRESS]
}
"#;

/// Its bodies matter to nobody.
const STATUS_ONLY: &str = r#"
POLICY no_teapots {
  SCOPE: requests WHERE request.path EXISTS
  CONSTRAINT: response.status != 418
  ENFORCEMENT: BLOCKING
  AT: [EGRESS]
}
"#;

fn get(path: &str) -> Value {
    json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {},
        "requestContext": { "domainName": "id.lambda-url.eu-west-1.on.aws",
            "http": { "method": "GET", "path": path, "sourceIp": "192.0.2.1" } },
        "isBase64Encoded": false
    })
}

async fn environment(policies: &str) -> Environment {
    Environment::of(Published::new(policies).await).await
}

/// What Lambda is told when the function answers this event so.
async fn answered(environment: &Environment, event: &Value, answer: &str) -> Posted {
    let id = environment.lambda.invoke(event.to_string());
    assert_eq!(environment.next().await.headers()["lambda-runtime-aws-request-id"], *id);
    let taken = environment.post(&format!("invocation/{id}/response"), &[], answer.to_owned()).await;
    assert_eq!(taken.status(), 202);
    let posted = environment.lambda.posted().await;
    assert!(posted.path.starts_with(&id), "{}", posted.path);
    posted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_http_are_masked_and_else_stay_byte_for_byte() {
    let environment = environment(POLICIES).await;
    let body = r#"{"n":1.0e1,"customer":[{"ssn":"123-45-6789"}]}"#;
    let masked = r#"{"n":1.0e1,"customer":[{"ssn":"*******6789"}]}"#;
    let whole =
        |body: &str, rest: &str| format!(r#"{{ "statusCode":200,"body":{},{rest} }}"#, json!(body));
    let rest = r#""headers":{"Content-Length":"46","etag":"x"},"x":1.00"#;
    let posted = answered(&environment, &get("/customers"), &whole(body, rest)).await;
    assert_eq!(posted.body, whole(masked, rest));
    assert_eq!(posted.headers["content-length"], posted.body.len().to_string());

    let encoded = |body: &str| whole(&BASE64_STANDARD.encode(body), r#""isBase64Encoded":true"#);
    let posted = answered(&environment, &get("/customers"), &encoded(body)).await;
    assert_eq!(posted.body, encoded(masked));

    // Without a status, all of it is the body.
    let posted = answered(&environment, &get("/customers"), body).await;
    assert_eq!(posted.body, masked);

    let posted = answered(&environment, &get("/elsewhere"), body).await;
    assert_eq!(posted.body, body, "the policy is not about it");

    let shorter = r#"{"customer.ssn":true}"#;
    let lengths = |length: usize| format!(r#""multiValueHeaders":{{"content-length":["{length}"]}}"#);
    let posted =
        answered(&environment, &get("/customers"), &whole(shorter, &lengths(shorter.len()))).await;
    assert_eq!(posted.body, whole("{}", &lengths(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_masked_or_is_not_allowed_is_denied_with_the_policys_name() {
    let environment = environment(POLICIES).await;
    let http = |status: u16, body: &str, base64: bool| {
        json!({ "statusCode": status, "body": body, "isBase64Encoded": base64 }).to_string()
    };
    let gzip = BASE64_STANDARD.encode([0x1f, 0x8b, 8, 0]);
    for (path, answer, code, policies) in [
        (
            "/customers",
            http(200, "<p>123-45-6789", false),
            "obligation_unsupported",
            vec!["numbers_are_masked"],
        ),
        ("/customers", http(200, &gzip, true), "obligation_unsupported", vec!["numbers_are_masked"]),
        ("/customers", http(503, "{}", false), "denied", vec!["numbers_are_masked"]),
        ("/files", http(200, r#"{"secret":"s3cret"}"#, false), "denied", vec!["no_secrets"]),
        ("/files", http(200, &gzip, true), "denied", vec!["no_secrets"]),
        (
            "/files",
            r#"{"statusCode":200,"body":"{}","body":"{}"}"#.to_owned(),
            "invalid_request",
            vec![],
        ),
        ("/files", r#"{"statusCode":200,"headers":{"a":{}}}"#.to_owned(), "invalid_request", vec![]),
    ] {
        let posted = answered(&environment, &get(path), &answer).await;
        assert!(posted.path.ends_with("/response"));
        assert_eq!(posted.json()["statusCode"], 403, "{answer}");
        let problem: Value = serde_json::from_str(posted.json()["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            problem,
            json!({ "title": "Forbidden", "status": 403, "code": code, "policies": policies }),
            "{answer}"
        );
    }
    let job = json!({ "job": "export" });
    let posted = answered(&environment, &job, r#"{"secret":"s3cret"}"#).await;
    assert!(posted.path.ends_with("/error"));
    assert_eq!(
        posted.json()["errorMessage"],
        "denied by policy no_secrets (denied)",
        "not the AUDIT_ONLY one"
    );
    for allowed in [r#"{ "open":1 }"#, "", "null"] {
        assert_eq!(answered(&environment, &job, allowed).await.body, allowed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_six_megabytes_is_masked() {
    let environment = environment(POLICIES).await;
    let answer = |ssn: &str| {
        let head = format!(r#"{{"customer":{{"ssn":"{ssn}"}},"text":""#);
        let text = "\u{e4}".repeat((MAX_PAYLOAD - head.len() - 2) / 2);
        format!("{head}{text}\"}}")
    };
    let posted = answered(&environment, &get("/customers"), &answer("123-45-6789")).await;
    assert!(posted.body == answer("*******6789").as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_batch_goes_back_to_its_queue_when_the_answer_is_denied() {
    let environment = environment(BATCHES).await;
    for (queue, passed, failed) in
        [("orders", vec!["m0", "m2"], vec!["m1"]), ("orders.fifo", vec!["m0"], vec!["m1", "m2"])]
    {
        for (answer, failed) in [("null", failed), (r#"{"leak":1}"#, vec!["m0", "m1", "m2"])] {
            let id = environment.lambda.invoke(batch(queue, &[GOOD, DENIED, GOOD]));
            assert_eq!(ids(&environment.next().await.text().await.unwrap()), passed);
            environment.post(&format!("invocation/{id}/response"), &[], answer).await;
            let posted = environment.lambda.posted().await;
            assert_eq!(posted.path, format!("{id}/response"));
            let mut told = failures(&posted.json()).into_iter().map(str::to_owned).collect::<Vec<_>>();
            told.sort();
            assert_eq!(told, failed, "{queue} {answer}");
        }
    }
}

/// A function's runtime that streams its answer.
struct Streaming(TcpStream);

impl Streaming {
    fn new(environment: &Environment, id: &str) -> Self {
        Self::of(environment, id, "application/vnd.awslambda.http-integration-response")
    }

    fn of(environment: &Environment, id: &str, content_type: &str) -> Self {
        let mut stream = TcpStream::connect(environment.proxy()).unwrap();
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\
             Content-Type: {content_type}\r\n\
             Trailer: Lambda-Runtime-Function-Error-Type\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Self(stream)
    }

    fn write(&mut self, part: &[u8]) {
        self.0.write_all(format!("{:x}\r\n", part.len()).as_bytes()).unwrap();
        self.0.write_all(part).unwrap();
        self.0.write_all(b"\r\n").unwrap();
    }

    fn end(mut self) -> String {
        self.0.write_all(b"0\r\nLambda-Runtime-Function-Error-Type: Late\r\n\r\n").unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        answer
    }
}

const PRELUDE: &[u8] = b"{\"statusCode\":200,\"headers\":{}}\0\0\0\0\0\0\0\0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_arrives_before_its_end_if_nobody_looks_at_its_body() {
    let environment = environment(STATUS_ONLY).await;
    let id = environment.lambda.invoke(get("/").to_string());
    environment.next().await;
    let mut stream = Streaming::new(&environment, &id);
    stream.write(&PRELUDE[..10]);
    stream.write(&[&PRELUDE[10..], b"first"].concat());
    // Each is there before the next is written.
    let mut seen = environment.lambda.part().await.to_vec();
    assert_eq!(seen, [PRELUDE, b"first"].concat());
    for part in [&b"second"[..], b"third"] {
        stream.write(part);
        seen = environment.lambda.part().await.to_vec();
        assert_eq!(seen, part);
    }
    assert!(tokio::task::spawn_blocking(|| stream.end()).await.unwrap().starts_with("HTTP/1.1 202"));
    let posted = environment.lambda.posted().await;
    assert_eq!(posted.body, [PRELUDE, b"firstsecondthird"].concat());
    assert_eq!(posted.headers["lambda-runtime-function-error-type"], "Late");

    let id = environment.lambda.invoke(get("/").to_string());
    environment.next().await;
    let mut stream = Streaming::new(&environment, &id);
    stream.write(b"{\"statusCode\":418}\0\0\0\0\0\0\0\0tea");
    let denied = environment.lambda.posted().await;
    drop(stream);
    assert_eq!(denied.headers["lambda-runtime-function-response-mode"], "streaming");
    let (prelude, problem) = denied.body.split_at(denied.body.iter().position(|b| *b == 0).unwrap());
    assert_eq!(serde_json::from_slice::<Value>(prelude).unwrap()["statusCode"], 403);
    let problem: Value = serde_json::from_slice(&problem[8..]).unwrap();
    assert_eq!(problem["policies"], json!(["no_teapots"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_prelude_is_decided_by_all_that_is_in_it() {
    let environment = environment(BATCHES).await;
    for (answer, is_allowed) in [(r#"{"open":1}"#, true), (r#"{"leak":1}"#, false)] {
        let id = environment.lambda.invoke(r#"{"x":1}"#);
        environment.next().await;
        let mut stream = Streaming::of(&environment, &id, "application/octet-stream");
        let (first, rest) = answer.as_bytes().split_at(4);
        stream.write(first);
        stream.write(rest);
        tokio::task::spawn_blocking(|| stream.end()).await.unwrap();
        let posted = environment.lambda.posted().await;
        if is_allowed {
            assert_eq!((posted.path, &*posted.body), (format!("{id}/response"), answer.as_bytes()));
        } else {
            assert_eq!(posted.path, format!("{id}/error"));
            assert_eq!(posted.json()["errorMessage"], "denied by policy no_leaks (denied)");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_read_whole_where_its_body_is_to_be_masked() {
    let environment = environment(POLICIES).await;
    let id = environment.lambda.invoke(get("/customers").to_string());
    environment.next().await;
    let mut stream = Streaming::new(&environment, &id);
    stream.write(&[PRELUDE, b"{\"customer\":{\"ssn\":\"123-4"].concat());
    stream.write(b"5-6789\"}}");
    tokio::task::spawn_blocking(|| stream.end()).await.unwrap();
    let posted = environment.lambda.posted().await;
    assert_eq!(posted.body, [PRELUDE, b"{\"customer\":{\"ssn\":\"*******6789\"}}"].concat());
    assert_eq!(posted.headers["lambda-runtime-function-error-type"], "Late", "trailers stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_obligation_without_a_point_is_carried_out_on_the_answer() {
    let environment = Environment::start().await;
    let event = json!({ "tenant": "a", "export": "one" });
    let posted = answered(&environment, &event, r#"{"event":{"card":"12345678"}}"#).await;
    assert_eq!(posted.body, r#"{"event":{"card":"****5678"}}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_decisions_are_counted_and_recorded_with_the_invocations_id() {
    let environment = environment(POLICIES).await;
    let posted = answered(&environment, &json!({ "job": "x" }), r#"{"secret":1}"#).await;
    assert!(posted.path.ends_with("/error"));
    environment.lambda.invoke(json!({ "job": "y" }).to_string());
    environment.next().await;
    let line = within(tokio::task::spawn_blocking(move || {
        let line = environment.metrics.recv().unwrap();
        let denied = environment.logged.iter().find(|line| line.contains("\"denied\"")).unwrap();
        (environment, line, denied)
    }));
    let (environment, line, denied) = line.await.unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["request_id"], "invocation-0");
    assert_eq!(line["trace_id"], "5759e988bd862e3fe1be46a994272793");
    let counts = ["IngressAllowed", "IngressDenied", "EgressAllowed", "EgressDenied", "Undecided"];
    assert_eq!(counts.map(|name| line[name].as_u64()), [1, 0, 0, 1, 0].map(Some), "{line}");
    assert_eq!(line["RecordsWaiting"], 0, "{line}");
    let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    assert!(declared.iter().all(|metric| line[metric["Name"].as_str().unwrap()].is_u64()));
    let denied: Value = serde_json::from_str(&denied).unwrap();
    assert_eq!(denied["request_id"], "invocation-0");
    assert_eq!(denied["trace_id"], "5759e988bd862e3fe1be46a994272793");
    assert_eq!((&denied["code"], &denied["policies"]), (&json!("denied"), &json!("no_secrets")));

    let spool = environment.published.path("tmp/decisions");
    let files =
        std::fs::read_dir(spool).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let log = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<String>();
    let recorded = log.lines().find(|line| line.contains("lambda/response")).expect("on record");
    assert!(recorded.contains("invocation-0") && recorded.contains("no_secrets"), "{recorded}");
    assert!(!recorded.contains("s3cret"));
}
