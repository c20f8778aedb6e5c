//! Cold start of `revoke`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    revoke::run().await
}
