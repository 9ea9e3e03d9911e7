//! The function itself as the three platforms run it: its binary, their events, a store that is a folder or an S3 emulator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: what fails must fail loudly"
)]

#[path = "function/lambda.rs"]
mod lambda;
#[path = "function/place.rs"]
mod place;
#[allow(dead_code, unreachable_pub, reason = "shared with tests that use more of it")]
#[path = "../../integration-tests/src/python.rs"]
mod python;
#[path = "function/receiver.rs"]
mod receiver;

use std::time::Duration;

use aecp_contract::{
    report::{Notice, Outcome},
    trust::TrustRoot,
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::{
    lambda::RuntimeApi,
    place::{Place, archive, policy, root},
    receiver::Receiver,
};

const FINALIZED: &str = "google.cloud.storage.object.v1.finalized";

fn s3_event(bucket: &str, keys: &[&str]) -> Value {
    let record = |key: &&str| {
        json!({ "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": { "bucket": { "name": bucket }, "object": { "key": key, "size": 1 } } })
    };
    json!({ "Records": keys.iter().map(record).collect::<Vec<_>>() })
}

#[tokio::test]
async fn cloud_run_posts_events_and_is_told_what_came_of_them() {
    let place = Place::folder();
    let function = place.http(&[("K_SERVICE", "compiler")], "PORT").await;
    let post = async |headers: &[(&str, &str)], body: Value| {
        let mut request = Client::new().post(&function.url).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    place.put("inbox/eu/march.tar.gz", &archive(&policy("eu"))).await;
    let data = json!({ "bucket": place.bucket(), "name": "inbox/eu/march.tar.gz", "generation": "1" });
    let binary = [("ce-specversion", "1.0"), ("ce-type", FINALIZED)];
    let (status, told) = post(&binary, data.clone()).await;
    assert_eq!((status, &told["uploads"][0]["result"]), (StatusCode::OK, &json!("accepted")), "{told}");
    assert_eq!(told["uploads"][0]["serial"], 1);
    assert_eq!(place.verified().await, (1, policy("eu")));
    // Again, in the other mode.
    let structured =
        json!({ "specversion": "1.0", "id": "1", "type": FINALIZED, "source": "x", "data": data });
    let (_, again) = post(&[], structured).await;
    assert_eq!(
        (&again["uploads"][0]["again"], &again["uploads"][0]["serial"]),
        (&json!(true), &json!(1))
    );
    // What will never be an upload is acknowledged.
    for nothing in [json!({}), json!([1]), s3_event("other", &["inbox/eu/march.tar.gz"])] {
        let (status, told) = post(&[], nothing).await;
        assert_eq!(
            (status, &told["uploads"][0]["result"]),
            (StatusCode::OK, &json!("ignored")),
            "{told}"
        );
    }
    // A store that cannot be trusted is no fault of the upload: the event is to come again, and nothing is written.
    let pointer = place.get("channels/prod.json").await.unwrap();
    place.put("channels/prod.json", b"{}").await;
    place.put("inbox/eu/april.tar.gz", &archive(&policy("de"))).await;
    let april = s3_event(&place.bucket(), &["inbox/eu/april.tar.gz"]);
    let (status, _) = post(&[], april.clone()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    place.put("channels/prod.json", &pointer).await;
    let (status, told) = post(&[], april).await;
    assert_eq!((status, &told["uploads"][0]["serial"]), (StatusCode::OK, &json!(2)), "{told}");
}

#[tokio::test]
async fn a_receiver_is_notified_of_each_report_and_changes_nothing() {
    let (place, receiver) = (Place::folder(), Receiver::start().await);
    let function =
        place.http(&[("K_SERVICE", "compiler"), ("AECP_NOTIFY", &receiver.url)], "PORT").await;
    let upload = async |name: &str, bytes: &[u8]| {
        place.put(&format!("inbox/eu/{name}"), bytes).await;
        let event = s3_event(&place.bucket(), &[&format!("inbox/eu/{name}")]);
        let request = Client::new().post(&function.url).json(&event);
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let answer = request.header("traceparent", trace).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap()["uploads"][0].clone())
    };
    let (_, told) = upload("march.tar.gz", &archive(&policy("eu"))).await;
    let got = receiver.got().await;
    let [(media_type, body)] = &got[..] else { panic!("{got:?}") };
    assert_eq!(media_type, "application/vnd.dsse+json");
    // Whoever has the trust root can tell that it is from the compiler.
    let trusted = TrustRoot::pinned(&root()).unwrap();
    let notice = Notice::verify(body, &trusted).unwrap();
    assert!(matches!(notice.outcome, Outcome::Accepted { serial: 1, .. }), "{notice:?}");
    assert_eq!(notice.set.to_string(), "eu");
    assert_eq!(notice.upload.key, "inbox/eu/march.tar.gz");
    assert_eq!(format!("{}.html", notice.report.strip_suffix(".json").unwrap()), told["report"]);
    assert!(place.get(&notice.report).await.is_some());
    assert!(Notice::verify(&place.get(&notice.report).await.unwrap(), &trusted).is_err());
    // Rejections, too; and a receiver that fails, or never answers, changes nothing.
    receiver.answers(500);
    let (status, told) = upload("wrong.tar.gz", &archive("POLICY {")).await;
    assert_eq!((status, &told["result"]), (StatusCode::OK, &json!("rejected")));
    receiver.answers(0);
    let (status, told) = upload("april.tar.gz", &archive(&policy("de"))).await;
    assert_eq!((status, &told["serial"]), (StatusCode::OK, &json!(2)));
    assert_eq!(receiver.got().await.len(), 2);
    let log = place.log();
    let failed: Vec<&Value> =
        log.iter().filter(|line| line["code"] == "notify_failed").map(|line| &line["message"]).collect();
    assert_eq!(failed, ["the receiver answered 500", "the receiver did not answer in time"]);
    assert!(!log.iter().any(|line| line.to_string().contains("hush")));
    // One line for each object says all that operators look for.
    let line = log.iter().find(|line| line["result"] == "accepted").unwrap();
    assert_eq!((&line["platform"], &line["set"]), (&json!("cloud_run"), &json!("eu")));
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(line["ms"].as_f64().unwrap() > 0.0 && line["phases"]["generate"].is_number(), "{line}");
}

#[tokio::test]
async fn a_store_that_fails_is_named_and_caught_up_when_the_event_comes_again() {
    let place = Place::folder();
    let other = tempfile::tempdir().unwrap();
    let (good, bad) = (other.path().join("good"), other.path().join("bad"));
    std::fs::write(&bad, "no folder").unwrap();
    let [good_url, bad_url] = [&good, &bad].map(|path| format!("file://{}", path.display()));
    let stores = format!("{},\n  {bad_url} {good_url}", place.url());
    let function = place.http(&[("K_SERVICE", "compiler"), ("AECP_STORE", &stores)], "PORT").await;
    place.put("inbox/eu/march.tar.gz", &archive(&policy("eu"))).await;
    let data = json!({ "bucket": place.bucket(), "name": "inbox/eu/march.tar.gz", "generation": "1" });
    let post = async || {
        let request = Client::new().post(&function.url).header("ce-type", FINALIZED).json(&data);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json::<Value>().await.unwrap()["uploads"][0].clone()
    };
    let told = post().await;
    assert_eq!((&told["result"], &told["level"]), (&json!("accepted"), &json!("warn")), "{told}");
    let [failed, copied] = [&told["replicas"][0], &told["replicas"][1]];
    assert_eq!((&failed["store"], &failed["code"]), (&json!(bad_url), &json!("store_unavailable")));
    assert_eq!((&copied["store"], &copied["serial"]), (&json!(good_url), &json!(1)));
    let pointer = place.get("channels/prod.json").await.unwrap();
    assert_eq!(std::fs::read(good.join("channels/prod.json")).unwrap(), pointer);
    std::fs::remove_file(&bad).unwrap();
    let told = post().await;
    assert_eq!((&told["again"], &told["level"]), (&json!(true), &json!("info")), "{told}");
    assert_eq!(std::fs::read(bad.join("channels/prod.json")).unwrap(), pointer);
    // Only the first store has the inbox; reports are in all.
    assert!(!good.join("inbox").exists());
    let report = told["report"].as_str().unwrap();
    for store in [&good, &bad] {
        for report in
            [report.to_owned(), report.replace(".html", ".json"), report.replace(".html", ".sarif")]
        {
            assert_eq!(std::fs::read(store.join(&report)).ok(), place.get(&report).await, "{report}");
        }
    }
    // A report that the key did not sign stays where it is.
    place.put("reports/eu/forged.json", b"{}").await;
    post().await;
    assert!(!good.join("reports/eu/forged.json").exists());
}

#[tokio::test]
async fn a_schedule_s_event_warns_of_each_release_that_expires_soon() {
    let place = Place::folder();
    let upload = async |renew_within: &str| {
        let variables =
            [("K_SERVICE", "compiler"), ("AECP_EXPIRES", "10d"), ("AECP_RENEW_WITHIN", renew_within)];
        let function = place.http(&variables, "PORT").await;
        place.put("inbox/eu/march.tar.gz", &archive(&policy("eu"))).await;
        let event = s3_event(&place.bucket(), &["inbox/eu/march.tar.gz"]);
        assert!(
            Client::new().post(&function.url).json(&event).send().await.unwrap().status().is_success()
        );
        let check = Client::new().post(&function.url).json(&json!({ "check": "channels" }));
        check.send().await.unwrap().json::<Value>().await.unwrap()["channels"][0].clone()
    };
    let told = upload("9d").await;
    assert_eq!(
        (&told["level"], &told["channel"], &told["serial"]),
        (&json!("info"), &json!("prod"), &json!(1))
    );
    let told = upload("11d").await;
    assert_eq!((&told["level"], &told["code"]), (&json!("warn"), &json!("release_expires")), "{told}");
    assert!(told["message"].as_str().unwrap().contains("publish it anew"), "{told}");
    // The alarm goes by the log. A timer of Azure says the same; what cannot be trusted is an error.
    assert!(place.log().iter().any(|line| line["level"] == "warn" && line["platform"] == "cloud_run"));
    let function = place.http(&[], "FUNCTIONS_CUSTOMHANDLER_PORT").await;
    let timer = json!({ "Schedule": { "AdjustForDST": true }, "IsPastDue": false });
    let request =
        json!({ "Data": { "timer": timer }, "Metadata": { "sys": { "MethodName": "check" } } });
    let check = async || Client::new().post(&function.url).json(&request).send().await.unwrap();
    let told: Value = check().await.json().await.unwrap();
    assert!(told["Logs"][0].as_str().unwrap().contains("release_expires"), "{told}");
    place.put("channels/prod.json", b"{}").await;
    assert_eq!(check().await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn an_azure_host_gets_the_answer_that_it_waits_for() {
    let place = Place::folder();
    let function = place.http(&[], "FUNCTIONS_CUSTOMHANDLER_PORT").await;
    place.put("inbox/eu/bad.zip", b"no archive").await;
    let url = format!("https://acc.blob.core.windows.net/{}/inbox/eu/bad.zip", place.bucket());
    let event = json!({ "eventType": "Microsoft.Storage.BlobCreated", "data": { "url": url } });
    let request = json!({ "Data": { "eventGridEvent": event.to_string() }, "Metadata": {} });
    let compile = format!("{}/Compile", function.url);
    let answer = Client::new().post(&compile).json(&request).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let told: Value = answer.json().await.unwrap();
    assert_eq!((&told["Outputs"], &told["ReturnValue"]), (&json!({}), &Value::Null));
    assert!(told["Logs"][0].as_str().unwrap().contains("\"result\":\"rejected\""), "{told}");
    // Both handshakes.
    let hello = json!([{ "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
                         "data": { "validationCode": "512d38b6" } }]);
    let answer = Client::new().post(&compile).json(&hello).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "validationResponse": "512d38b6" }));
    let options = Client::new().request(reqwest::Method::OPTIONS, &compile);
    let answer = options.header("WebHook-Request-Origin", "eventgrid.azure.net").send().await.unwrap();
    assert_eq!(answer.headers()["webhook-allowed-origin"], "eventgrid.azure.net");
}

#[tokio::test]
async fn lambda_compiles_out_of_s3_whatever_order_events_have() {
    let s3 = python::S3::start(env!("CARGO_TARGET_TMPDIR"));
    let place = Place::s3(&s3.url, "policies").await;
    let runtime = RuntimeApi::start().await;
    let _function = place.lambda(&runtime);
    place.put("inbox/eu/old.tar.gz", &archive(&policy("old"))).await;
    // S3 tells times in whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    place.put("inbox/eu/a b.tar.gz", &archive(&policy("eu"))).await;
    let told = runtime.invoke(&s3_event("policies", &["inbox/eu/a+b.tar.gz"])).await.unwrap();
    assert_eq!(
        (&told["uploads"][0]["result"], &told["uploads"][0]["serial"]),
        (&json!("accepted"), &json!(1)),
        "{told}"
    );
    assert_eq!(place.verified().await, (1, policy("eu")));
    // The log's line is a metric, too.
    let log = place.log();
    let line = log.iter().find(|line| line["result"] == "accepted").unwrap();
    assert_eq!(line["trace_id"], "1-5bef4de7-ad49b0e87f6ef6c87fc2e700");
    assert_eq!((&line["FunctionName"], &line["Uploads"]), (&json!("compiler"), &json!(1)));
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "AECP");
    // The older one comes late, and the newer one again, by the other road.
    let told = runtime.invoke(&s3_event("policies", &["inbox/eu/old.tar.gz"])).await.unwrap();
    assert_eq!(told["uploads"][0]["result"], "superseded", "{told}");
    let bridge = json!({ "source": "aws.s3", "detail-type": "Object Created", "detail": {
        "bucket": { "name": "policies" }, "object": { "key": "inbox/eu/a b.tar.gz" } } });
    let told = runtime.invoke(&bridge).await.unwrap();
    assert_eq!(told["uploads"][0]["again"], true, "{told}");
    // A rejection leaves the channel as it was.
    let before = (place.get("channels/prod.json").await, place.verified().await);
    place.put("inbox/eu/wrong.tar.gz", &archive("POLICY {")).await;
    let told = runtime.invoke(&s3_event("policies", &["inbox/eu/wrong.tar.gz"])).await.unwrap();
    assert_eq!(told["uploads"][0]["result"], "rejected", "{told}");
    assert_eq!((place.get("channels/prod.json").await, place.verified().await), before);
    let page = place.get(told["uploads"][0]["report"].as_str().unwrap()).await.unwrap();
    assert!(String::from_utf8(page).unwrap().contains("Nothing was changed"));
    // One file that says in its metadata what it is for.
    let said = [("aecp_channel", "prod"), ("aecp_author", "Jane"), ("aecp_justification", "CR-3")];
    place.put_with("inbox/eu/one.aecp", policy("one").as_bytes(), &said).await;
    let told = runtime.invoke(&s3_event("policies", &["inbox/eu/one.aecp"])).await.unwrap();
    assert_eq!(told["uploads"][0]["serial"], 2, "{told}");
    assert_eq!(place.verified().await, (2, policy("one")));
}

#[tokio::test]
async fn two_functions_at_once_leave_no_holes() {
    let s3 = python::S3::start(env!("CARGO_TARGET_TMPDIR"));
    let place = Place::s3(&s3.url, "policies").await;
    let runtimes = [RuntimeApi::start().await, RuntimeApi::start().await];
    let _functions = runtimes.each_ref().map(|runtime| place.lambda(runtime));
    place.put("inbox/eu/a.tar.gz", &archive(&policy("a"))).await;
    place.put("inbox/eu/b.tar.gz", &archive(&policy("b"))).await;
    let [first, second] =
        [["inbox/eu/a.tar.gz", "inbox/eu/b.tar.gz"], ["inbox/eu/b.tar.gz", "inbox/eu/a.tar.gz"]]
            .map(|keys| s3_event("policies", &keys));
    let told = tokio::join!(runtimes[0].invoke(&first), runtimes[1].invoke(&second));
    let told = [told.0.unwrap(), told.1.unwrap()];
    let uploads = told.iter().flat_map(|one| one["uploads"].as_array().unwrap());
    let serials: std::collections::BTreeSet<u64> =
        uploads.filter_map(|one| one["serial"].as_u64()).collect();
    let (newest, _) = place.verified().await;
    assert_eq!(serials.into_iter().collect::<Vec<_>>(), (1..=newest).collect::<Vec<_>>(), "{told:?}");
    for serial in 1..=newest {
        assert!(place.get(&format!("releases/prod/{serial}.json")).await.is_some());
    }
    assert!(place.get(&format!("releases/prod/{}.json", newest + 1)).await.is_none());
}
