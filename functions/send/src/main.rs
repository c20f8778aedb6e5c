//! Cold start of `send`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    send::run().await
}
