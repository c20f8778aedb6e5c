//! The project's own template in the stand-in.

use super::*;

#[tokio::test]
async fn everything_in_the_project_s_template_comes_up() {
    let world = World::with(template::EMBEDDED).await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    for queue in ["SendQueueUrl", "SendDeadLetterQueueUrl", "RevocationQueueUrl"] {
        sqs.receive_message().queue_url(world.output(queue)).send().await.unwrap();
    }
    let tables = client!(aws_sdk_dynamodb, world, operator()).list_tables().send().await.unwrap();
    assert_eq!(tables.table_names().len(), 3);
}
