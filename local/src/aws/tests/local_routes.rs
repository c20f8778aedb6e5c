//! The routes below `/_local`.

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::fixtures::*;
use crate::aws::{bind, local_routes};
use crate::service::iam::account_of_key;

/// The routes on a port of their own, as the gateway serves them.
async fn serve(world: &World) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = axum::Router::new().nest("/_local", local_routes(world.stand_in.clone()));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

async fn ask(address: std::net::SocketAddr, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} /_local{path} HTTP/1.1\r\nhost: local\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_tenant_is_made_described_and_observed() {
    let world = World::start().await;
    let address = serve(&world).await;
    let (_, outputs) = ask(address, "GET", "/outputs", Value::Null).await;
    assert_eq!(outputs["Work"], world.output("Work"));

    let policy: Value = serde_json::from_str(CLASSIC).unwrap();
    let wanted = json!({"policies": [policy], "identities": ["example.com"], "user_path": "/team/"});
    let (status, made) = ask(address, "POST", "/tenants", wanted).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        made.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["access_key_id", "account_id", "region", "secret_access_key", "user_arn"]
    );
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    let account = text("account_id");
    assert_eq!(account_of_key(&text("access_key_id")), Some(account.clone()));
    let secret = text("secret_access_key");
    assert_eq!(secret.len(), 40);
    assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)));
    assert_eq!(text("user_arn"), format!("arn:aws:iam::{account}:user/team/mailer"));

    let credentials = Credentials::new(text("access_key_id"), secret.clone(), None, None, "test");
    let ses = client!(aws_sdk_sesv2, world, credentials);
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    let (_, inbox) = ask(address, "GET", &format!("/inbox?account_id={account}"), Value::Null).await;
    assert_eq!(inbox["mails"][0]["to"], json!(["x@example.org"]));
    let (_, other) = ask(address, "GET", "/inbox?account_id=000000000000", Value::Null).await;
    assert_eq!(other["mails"], json!([]));

    let path = format!("/tenants/{account}");
    let faults = ask(address, "PUT", &format!("{path}/faults"), json!({"deactivate_key": true})).await;
    assert_eq!(faults.0, StatusCode::NO_CONTENT);
    let (_, tenant) = ask(address, "GET", &path, Value::Null).await;
    assert_eq!(tenant["users"][0]["access_keys"][0]["status"], "Inactive");
    let key = format!("{path}/access-keys/{}", text("access_key_id"));
    assert_eq!(ask(address, "PUT", &key, json!({"status": "Active"})).await.0, StatusCode::NO_CONTENT);
    ses.get_account().send().await.unwrap();
    assert_eq!(ask(address, "DELETE", &key, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(address, "DELETE", &key, Value::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(code(ses.get_account().send().await), "UnrecognizedClientException");

    let (_, log) = ask(address, "GET", &format!("/requests?account_id={account}"), Value::Null).await;
    let seen: Vec<_> = log["requests"].as_array().unwrap().iter().map(|entry| &entry["operation"]).collect();
    assert_eq!(seen, ["SendEmail", "GetAccount", "GetAccount"]);
    assert_eq!(log["requests"][2]["error"], "UnrecognizedClientException");
    assert!(!log.to_string().contains(&secret) && !log.to_string().contains("Hello"));
    let (_, counted) = ask(address, "GET", "/requests/counts", Value::Null).await;
    let counts = counted["counts"].as_array().unwrap().iter().filter(|kind| kind["account_id"] == account);
    let counts: Vec<_> =
        counts.map(|kind| [&kind["principal"], &kind["operation"], &kind["error"], &kind["count"]]).collect();
    let user = text("user_arn");
    assert_eq!(
        json!(counts),
        json!([
            [null, "GetAccount", "UnrecognizedClientException", 1],
            [user, "GetAccount", null, 1],
            [user, "SendEmail", null, 1],
        ])
    );
}

#[tokio::test]
async fn a_further_user_leaves_the_account_as_it_is_unless_the_request_says_otherwise() {
    let world = World::start().await;
    let address = serve(&world).await;
    let limits = async |user: &str, mut tenant: Value| {
        tenant["account_id"] = json!("111122223333");
        tenant["user_name"] = json!(user);
        assert_eq!(ask(address, "POST", "/tenants", tenant).await.0, StatusCode::CREATED);
        let (_, account) = ask(address, "GET", "/tenants/111122223333", Value::Null).await;
        (account["sandbox"].as_bool().unwrap(), account["max_send_rate"].as_f64().unwrap())
    };
    assert_eq!(limits("first", json!({"sandbox": true, "max_send_rate": 3})).await, (true, 3.0));
    assert_eq!(limits("second", json!({})).await, (true, 3.0));
    assert_eq!(limits("third", json!({"max_send_rate": 5})).await, (true, 5.0));
    assert_eq!(limits("fourth", json!({"sandbox": true})).await, (true, 5.0));
    assert_eq!(limits("fifth", json!({"sandbox": false})).await, (false, 14.0));
}

#[tokio::test]
async fn a_bad_request_names_its_field() {
    let world = World::start().await;
    let address = serve(&world).await;
    let (status, problem) = ask(address, "POST", "/tenants", json!({"account_id": "12"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["field"], "account_id");
    assert_eq!(problem["detail"], "account_id must be twelve digits");
    let (status, _) = ask(address, "PUT", "/tenants/999999999999/faults", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let tenant = json!({"account_id": "111122223333"});
    assert_eq!(ask(address, "POST", "/tenants", tenant.clone()).await.0, StatusCode::CREATED);
    assert_eq!(ask(address, "POST", "/tenants", tenant).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn our_own_faults_are_set_and_a_bad_rule_names_its_field() {
    let world = World::start().await;
    let address = serve(&world).await;
    let rules = json!({"rules": [{"on": ["sts:*"], "throttle": 1}]});
    assert_eq!(ask(address, "PUT", "/faults", rules).await.0, StatusCode::NO_CONTENT);
    let sts = client!(aws_sdk_sts, world, world.session(&world.output("Worker")));
    assert_eq!(code(sts.get_caller_identity().send().await), "Throttling");
    sts.get_caller_identity().send().await.unwrap();
    let (status, problem) = ask(address, "PUT", "/faults", json!({"rules": [{"throttle": 1}]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["field"], "rules[0].on");
}

#[tokio::test]
async fn a_bus_takes_no_event_of_another_account_that_its_policy_does_not_let_in() {
    let world = World::start().await;
    let address = serve(&world).await;
    let arn = |bus: &str| format!("arn:aws:events:us-east-1:123456789012:event-bus/{bus}");
    let event =
        |bus: &str| json!({"bus": arn(bus), "source": "aws.health", "detail-type": "AWS Health Event", "detail": {}});
    let path = "/tenants/111122223333/forwarded-events";
    let own = event(&world.output("Bus"));
    assert_eq!(ask(address, "POST", path, own.clone()).await.0, StatusCode::NOT_FOUND, "there is no such account");
    ask(address, "POST", "/tenants", json!({"account_id": "111122223333"})).await;
    for (event, says) in [(own, "does not let a rule of 111122223333"), (event("nowhere"), "nowhere does not exist")] {
        let (status, problem) = ask(address, "POST", path, event).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let (status, problem) = ask(address, "POST", path, json!({"bus": "b", "account": "222233334444"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the account is the one that forwards: {problem}");
}

#[tokio::test]
async fn a_taken_port_names_the_flag_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = bind(taken.local_addr().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("--aws-port"), "{error}");
}

#[tokio::test]
async fn a_user_has_two_keys_at_most() {
    let world = World::start().await;
    let address = serve(&world).await;
    let policy: Value = serde_json::from_str(CLASSIC).unwrap();
    let (_, first) =
        ask(address, "POST", "/tenants", json!({"policies": [policy], "identities": ["example.com"]})).await;
    let account = first["account_id"].as_str().unwrap();
    let path = format!("/tenants/{account}/access-keys");
    assert_eq!(ask(address, "POST", &path, json!({"user_name": "nobody"})).await.0, StatusCode::NOT_FOUND);
    let (status, second) = ask(address, "POST", &path, json!({"user_name": "mailer"})).await;
    assert_eq!((status, &second["user_arn"]), (StatusCode::CREATED, &first["user_arn"]));
    assert_ne!(first["access_key_id"], second["access_key_id"]);
    let text = |field: &str| second[field].as_str().unwrap().to_owned();
    let credentials = Credentials::new(text("access_key_id"), text("secret_access_key"), None, None, "test");
    send(&client!(aws_sdk_sesv2, world, credentials), "a@example.com", &["x@example.org"]).await.unwrap();
    assert_eq!(ask(address, "POST", &path, json!({"user_name": "mailer"})).await.0, StatusCode::CONFLICT);
    let id = first["access_key_id"].as_str().unwrap();
    assert_eq!(ask(address, "DELETE", &format!("{path}/{id}"), Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(address, "POST", &path, json!({"user_name": "mailer"})).await.0, StatusCode::CREATED);
}
