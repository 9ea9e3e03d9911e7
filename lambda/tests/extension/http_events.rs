use serde_json::{Value, json};

use crate::environment::Environment;

fn rest_api(path: &str, ip: &str) -> Value {
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": "GET",
        "headers": { "X-Tenant": "a" }, "multiValueHeaders": { "X-Tenant": ["a"] },
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "requestContext": { "stage": "prod", "identity": { "sourceIp": ip, "userArn": null } },
        "body": null, "isBase64Encoded": false
    })
}

fn http_api(path: &str, ip: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "a=1",
        "headers": { "x-tenant": "a", "content-type": "application/json" },
        "requestContext": {
            "domainName": "id.execute-api.eu-west-1.amazonaws.com",
            "http": { "method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": ip },
            "authorizer": { "jwt": { "claims": { "sub": "u1" }, "scopes": null } }
        },
        "body": "{\"amount\":20}", "isBase64Encoded": false
    })
}

fn alb(path: &str, ip: &str) -> Value {
    json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:…" } },
        "httpMethod": "GET", "path": path, "multiValueQueryStringParameters": {},
        "multiValueHeaders": { "x-tenant": ["a"], "x-forwarded-for": [format!("10.9.9.9, {ip}")] },
        "body": "", "isBase64Encoded": false
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_allowed_reaches_the_function_byte_for_byte_with_its_headers() {
    let environment = Environment::start().await;
    for event in [
        rest_api("/admin/x", "10.0.0.1"),
        http_api("/orders", "192.0.2.1"),
        alb("/admin", "10.0.0.1"),
        json!({ "tenant": "a", "n": 1 }),
    ] {
        // With spaces and a number that no parser keeps.
        let text = format!(
            "  {}\n",
            event.to_string().replacen('{', "{ \"precise\" : 1.00000000000000000001e2, ", 1)
        );
        let id = environment.lambda.invoke(text.clone());
        let response = environment.next().await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["lambda-runtime-aws-request-id"], *id);
        assert_eq!(response.headers()["lambda-runtime-trace-id"], crate::lambda::TRACE);
        assert_eq!(response.headers()["lambda-runtime-invoked-function-arn"], crate::lambda::ARN);
        assert!(response.headers().contains_key("lambda-runtime-deadline-ms"));
        assert_eq!(response.text().await.unwrap(), text);
        let taken = environment
            .post(&format!("invocation/{id}/response"), &[("x-custom", "kept")], r#"{"ok":true}"#)
            .await;
        assert_eq!(taken.status(), 202);
        let posted = environment.lambda.posted().await;
        assert_eq!(posted.path, format!("{id}/response"));
        assert_eq!(posted.headers["x-custom"], "kept");
        assert_eq!(posted.body, r#"{"ok":true}"#);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_never_reaches_the_function_and_is_answered_in_its_own_form() {
    let environment = Environment::start().await;
    let mut url = http_api("/admin", "192.0.2.1");
    url["requestContext"]["domainName"] = json!("id.lambda-url.eu-west-1.on.aws");
    let mut large = http_api("/orders", "192.0.2.1");
    large["body"] = json!("{\"amount\":101}");
    let mut encoded = http_api("/orders", "192.0.2.1");
    encoded["body"] = json!("eyJhbW91bnQiOjEwMX0="); // {"amount":101}
    encoded["isBase64Encoded"] = json!(true);
    // A body that does not say that it is JSON is still read by what it looks like.
    let mut plain = large.clone();
    plain["headers"]["content-type"] = json!("text/plain");
    let mut broken = large.clone();
    broken["body"] = json!("{\"amount\":");
    let denied = [
        (rest_api("/admin/x", "192.0.2.1"), Some("admin_from_inside")),
        (http_api("/admin", "192.0.2.1"), Some("admin_from_inside")),
        (url, Some("admin_from_inside")),
        (alb("/admin", "192.0.2.1"), Some("admin_from_inside")),
        (large, Some("small_orders")),
        (encoded, Some("small_orders")),
        (plain, Some("small_orders")),
        (broken, None),
    ];
    let ids: Vec<String> =
        denied.iter().map(|(event, _)| environment.lambda.invoke(event.to_string())).collect();
    let last = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    let response = environment.next().await;
    assert_eq!(response.headers()["lambda-runtime-aws-request-id"], *last, "only the last may pass");
    for (id, (event, policy)) in ids.iter().zip(&denied) {
        let posted = environment.lambda.posted().await;
        assert_eq!(posted.path, format!("{id}/response"));
        let answer = posted.json();
        assert_eq!(answer["statusCode"], 403, "{event}");
        let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let code = if policy.is_some() { "denied" } else { "invalid_request" };
        let policies: Vec<&str> = policy.iter().copied().collect();
        let expected =
            json!({ "title": "Forbidden", "status": 403, "code": code, "policies": policies });
        assert_eq!(problem, expected);
        if event["requestContext"]["elb"].is_object() {
            assert_eq!(answer["statusDescription"], "403 Forbidden");
            assert_eq!(answer["multiValueHeaders"]["content-type"][0], "application/problem+json");
        } else {
            assert_eq!(answer["headers"]["content-type"], "application/problem+json");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_is_a_header_that_wins_over_the_clients_own() {
    let environment = Environment::start().await;
    let mut event = rest_api("/", "192.0.2.1");
    event["headers"] = json!({ "x-aecp-advisory": "forged" });
    event["multiValueHeaders"] = json!({});
    environment.lambda.invoke(event.to_string());
    let text = environment.next().await.text().await.unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["headers"]["x-aecp-advisory"], "named_tenant");
    assert_eq!(told["multiValueHeaders"], json!({ "x-aecp-advisory": ["named_tenant"] }));
    let rest = text
        .replace(r#","x-aecp-advisory":"named_tenant""#, "")
        .replace(r#""x-aecp-advisory":["named_tenant"]"#, "");
    assert_eq!(rest, event.to_string(), "nothing else changes");
}

/// Each of these is allowed for one attribute alone, and denied without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_see_callers_queries_and_cookies_of_every_form() {
    let mut events = Vec::new();
    let mut add = |mut event: Value, method: Option<&str>, part: &str, with: Value, without: Value| {
        if let Some(method) = method {
            event["requestContext"]["http"]["method"] = json!(method);
        }
        for (value, passes) in [(without, false), (with, true)] {
            *event.pointer_mut(part).unwrap() = value;
            events.push((event.clone(), passes));
        }
    };
    let rest = |path| {
        let mut event = rest_api(path, "192.0.2.1");
        event["requestContext"]["authorizer"] = Value::Null;
        event
    };
    let http = |path| http_api(path, "192.0.2.1");
    let claims = |sub: &str| json!({ "claims": { "sub": sub } });
    add(rest("/claims"), None, "/requestContext/authorizer", claims("u1"), claims("u2"));
    add(http("/claims"), None, "/requestContext/authorizer/jwt", claims("u1"), claims("u2"));
    let ann = json!({ "userArn": "arn:aws:iam::1:user/ann", "accountId": "1" });
    add(rest("/signed"), None, "/requestContext/identity", ann.clone(), json!({}));
    add(
        http("/signed"),
        None,
        "/requestContext/authorizer",
        json!({ "iam": ann }),
        json!({ "iam": null }),
    );
    let gold = json!({ "tier": "gold" });
    add(rest("/tier"), None, "/requestContext/authorizer", gold.clone(), json!({ "tier": "lead" }));
    add(http("/tier"), None, "/requestContext/authorizer", json!({ "lambda": gold }), Value::Null);
    let several = "/multiValueQueryStringParameters";
    let q = |value: &str| json!({ "q": [value] });
    add(rest("/query"), None, several, q("1 2&3"), json!({ "q": ["1 2&3", "4"] }));
    add(alb("/query", "192.0.2.1"), None, several, q("1%202%263"), q("1%25202%263"));
    add(http("/query"), Some("GET"), "/rawQueryString", json!("q=1+2%263"), json!("q=1+2&3"));
    let mut cookies = http("/cookie");
    cookies["cookies"] = Value::Null;
    add(cookies, None, "/cookies", json!(["a=1", "b=2"]), json!(["a=1"]));

    let environment = Environment::start().await;
    let sent = events
        .into_iter()
        .map(|(event, passes)| (environment.lambda.invoke(event.to_string()), event, passes));
    for (id, event, _) in sent.collect::<Vec<_>>().into_iter().filter(|(_, _, passes)| *passes) {
        let response = environment.next().await;
        assert_eq!(response.headers()["lambda-runtime-aws-request-id"], *id, "{event}");
    }
}
