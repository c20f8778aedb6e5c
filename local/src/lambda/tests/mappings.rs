//! Event source mappings against a server that records what is received and deleted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::fixtures::{eventually, function, host_of};
use super::super::lineage::Lineage;
use super::super::{Host, now};
use super::queue_server::QueueServer;
use crate::serverless::{FunctionResource, MappingResource, RecursiveLoop};

const QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:123456789012:mails";

fn mapping() -> MappingResource {
    MappingResource {
        uuid: "mapping-1".to_owned(),
        queue_arn: QUEUE_ARN.to_owned(),
        batch_size: 10,
        batching_window: Duration::ZERO,
        report_batch_item_failures: true,
        maximum_concurrency: Some(2),
        enabled: true,
    }
}

/// A host of the function `f`, changed by `change`, that polls the server's queue.
fn start_polling(server: &QueueServer, mapping: MappingResource, change: impl FnOnce(&mut FunctionResource)) -> Host {
    let mut function = FunctionResource { mappings: vec![mapping], ..function("f") };
    change(&mut function);
    let host = host_of(function, Arc::default(), 4, &server.endpoint);
    host.start_triggers();
    host
}

#[tokio::test]
async fn only_messages_that_did_not_fail_are_deleted_and_the_role_signs() {
    let server = QueueServer::start().await;
    for (id, body) in [("a", "ok"), ("b", "fail"), ("c", "ok")] {
        server.put(id, body, None);
    }
    let host = start_polling(&server, mapping(), |_| ());
    eventually("two messages are deleted", || server.deleted() == ["a", "c"]).await;
    assert_eq!(server.remaining(), ["b"]);
    assert!(server.signers().iter().all(|key| key.starts_with("ASIA")), "{:?}", server.signers());
    host.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_batch_is_processed_although_the_rest_of_its_window_cannot_be_received() {
    let server = QueueServer::start().await;
    server.put("a", "ok", None);
    server.reject_once_empty();
    let window = MappingResource { batching_window: Duration::from_secs(300), ..mapping() };
    let host = start_polling(&server, window, |_| ());
    eventually("the message is deleted", || server.deleted() == ["a"]).await;
    host.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_function_error_leaves_the_whole_batch_in_the_queue() {
    let server = QueueServer::start().await;
    server.put("a", "ok", None);
    server.put("b", "exit", None);
    let host = start_polling(&server, mapping(), |_| ());
    eventually("the function has ended", || host.logs().lines("f").iter().any(|line| line.line.starts_with("END ")))
        .await;
    host.shut_down(Duration::from_secs(5)).await;
    assert!(server.deleted().is_empty());
    assert_eq!(server.remaining(), ["a", "b"]);
}

#[tokio::test]
async fn a_recursive_loop_is_stopped_unless_it_is_allowed() {
    for (recursive_loop, expected) in [(RecursiveLoop::Terminate, 1), (RecursiveLoop::Allow, 0)] {
        let server = QueueServer::start().await;
        let arn = function("f").arn;
        let lineage = (0..16).fold(Lineage::default(), |lineage, _| lineage.after_invocation_of(&arn));
        server.put("a", "ok", Some(lineage.to_trace_header(now())));
        let host = start_polling(&server, mapping(), |function| function.recursive_loop = recursive_loop);
        eventually("the message is deleted", || server.deleted() == ["a"]).await;
        assert_eq!(server.sent_to("dead"), expected, "{recursive_loop:?}");
        host.shut_down(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_disabled_mapping_leaves_its_messages_in_the_queue_until_it_is_enabled() {
    let server = QueueServer::start().await;
    let host = start_polling(&server, MappingResource { enabled: false, ..mapping() }, |_| ());
    server.put("a", "ok", None);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.signers().is_empty(), "the queue is polled");

    let mappings = &host.inner.options.mappings;
    let switch = |enabled: bool| mappings.update("mapping-1", &json!({ "Enabled": enabled })).map(drop);
    switch(true).unwrap();
    assert!(switch(false).is_err(), "an earlier change is under way");
    eventually("the message is deleted", || server.deleted() == ["a"]).await;

    let polls = mappings.polls("mapping-1").unwrap();
    switch(false).unwrap();
    eventually("the mapping is disabled", || !*polls.borrow()).await;
    server.put("b", "ok", None);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.remaining(), ["b"]);
    host.shut_down(Duration::from_secs(5)).await;
}
