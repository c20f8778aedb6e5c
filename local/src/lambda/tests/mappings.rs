//! Event source mappings against a queue that counts.

use std::sync::Arc;
use std::time::Duration;

use super::super::lineage::Lineage;
use super::super::now;
use super::queue_server::QueueServer;
use super::{eventually, function, host_of};
use crate::template::stack::{Mapping, RecursiveLoop};

const QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:123456789012:mails";

fn mapping() -> Mapping {
    Mapping {
        queue_arn: QUEUE_ARN.to_owned(),
        batch_size: 10,
        batching_window: Duration::ZERO,
        report_batch_item_failures: true,
        maximum_concurrency: Some(2),
        enabled: true,
    }
}

#[tokio::test]
async fn only_messages_that_did_not_fail_are_deleted_and_that_under_the_role() {
    let server = QueueServer::start().await;
    for (id, body) in [("a", "ok"), ("b", "fail"), ("c", "ok")] {
        server.put(id, body, None);
    }
    let mut function = function();
    function.mappings.push(mapping());
    let host = host_of(function, Arc::default(), 4, &server.endpoint);
    host.start_sources();
    eventually("two deleted", || server.deleted() == ["a", "c"]).await;
    assert_eq!(server.waiting(), ["b"]);
    assert!(server.signers().iter().all(|key| key.starts_with("ASIA")), "{:?}", server.signers());
    host.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_a_window_has_gathered_is_worked_on_although_the_rest_cannot_be_received() {
    let server = QueueServer::start().await;
    server.put("a", "ok", None);
    server.refuse_once_empty();
    let mut function = function();
    function.mappings.push(Mapping { batching_window: Duration::from_secs(300), ..mapping() });
    let host = host_of(function, Arc::default(), 4, &server.endpoint);
    host.start_sources();
    eventually("deleted", || server.deleted() == ["a"]).await;
    host.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_function_error_leaves_the_whole_batch() {
    let server = QueueServer::start().await;
    server.put("a", "ok", None);
    server.put("b", "exit", None);
    let mut function = function();
    function.mappings.push(mapping());
    let host = host_of(function, Arc::default(), 4, &server.endpoint);
    host.start_sources();
    eventually("worked on", || host.logs().lines("f").iter().any(|line| line.line.starts_with("END "))).await;
    host.shut_down(Duration::from_secs(5)).await;
    assert!(server.deleted().is_empty());
    assert_eq!(server.waiting(), ["a", "b"]);
}

#[tokio::test]
async fn a_recursive_loop_is_stopped_unless_it_is_allowed() {
    for (recursive_loop, expected) in [(RecursiveLoop::Terminate, 1), (RecursiveLoop::Allow, 0)] {
        let server = QueueServer::start().await;
        let mut function = function();
        let lineage = (0..16).fold(Lineage::default(), |chain, _| chain.step(&function.arn));
        server.put("a", "ok", Some(lineage.header(now())));
        function.recursive_loop = recursive_loop;
        function.mappings.push(mapping());
        let host = host_of(function, Arc::default(), 4, &server.endpoint);
        host.start_sources();
        eventually("deleted", || server.deleted() == ["a"]).await;
        assert_eq!(server.sent_to("dead"), expected, "{recursive_loop:?}");
        host.shut_down(Duration::from_secs(5)).await;
    }
}
