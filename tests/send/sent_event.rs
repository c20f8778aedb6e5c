//! The event `Mail Sent`, which the operator may want.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::support::{Stack, eventually, mail, wait_for_nothing};

#[tokio::test]
async fn each_sent_mail_is_told_if_the_operator_wants_it_and_a_bus_that_refuses_delays_none() {
    let stack = Stack::with_arguments(&["--parameter", "MailSentEvents=on"]).await;
    let (_, provider_id) = stack.create_provider("acme").await;
    let mails: Vec<_> = (0..12).map(|n| mail(&provider_id, &format!("told-{n}"))).collect();
    stack.enqueue_mails(&mails).await;
    let told = eventually("an event for each mail", || async {
        let events = stack.events("Mail Sent").await.unwrap();
        (events.len() >= mails.len()).then_some(events)
    })
    .await;
    let ids: BTreeSet<_> = told.iter().map(|event| event["detail"]["mail_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((ids.len(), told.len()), (12, 12), "each one once: {told:?}");
    let fate = stack.mail_in_state(&provider_id, "told-3", &["sent"]).await;
    let event = told.iter().find(|event| event["detail"]["mail_id"] == "told-3").unwrap();
    assert_eq!(event["detail"]["ses_message_id"], fate["ses_message_id"]);
    assert_eq!(event["source"], "sendingbee.send");
    // Known again, it is not told again.
    stack.enqueue_mails(&mails[..1]).await;

    let faults = json!({"rules": [{"on": ["events:PutEvents"], "server_error": 1000}]});
    assert!(stack.local_api(Method::PUT, "/faults", Some(&faults)).await.unwrap().status.is_success());
    stack.enqueue_mails(&[mail(&provider_id, "untold")]).await;
    let fate = stack.mail_in_state(&provider_id, "untold", &["sent"]).await;
    assert_eq!(fate["attempts"], 1, "{fate}");
    stack.eventually_delayed(0).await;
    assert_eq!(stack.events("Mail Sent").await.unwrap().len(), 12);
}

#[tokio::test]
async fn nobody_is_told_of_sent_mail_who_has_not_asked_for_it() {
    let stack = Stack::with_arguments(&[]).await;
    let (_, provider_id) = stack.create_provider("acme").await;
    stack.enqueue_mails(&[mail(&provider_id, "quiet")]).await;
    stack.mail_in_state(&provider_id, "quiet", &["sent"]).await;
    wait_for_nothing(1.0).await;
    assert!(stack.events("Mail Sent").await.unwrap().is_empty());
}
