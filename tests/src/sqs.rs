use crate::emulator::Emulator;

/// A message in flight at the kill stays in flight, its receipt handle stays good, and
/// what was deleted does not come back.
#[tokio::test]
async fn work_in_progress_survives_a_kill() {
    let mut emulator = Emulator::start();
    let client = emulator.sqs();
    client
        .create_queue()
        .queue_name("queue")
        .send()
        .await
        .unwrap();
    let url = |client: &aws_sdk_sqs::Client| client.get_queue_url().queue_name("queue").send();
    let queue = url(&client).await.unwrap().queue_url.unwrap();
    for body in ["one", "two"] {
        let send = client.send_message().queue_url(&queue).message_body(body);
        send.send().await.unwrap();
    }
    let receive = client
        .receive_message()
        .queue_url(&queue)
        .max_number_of_messages(1);
    let message = receive.visibility_timeout(600).send().await.unwrap();
    let [message] = message.messages() else {
        panic!("one message: {message:?}");
    };
    let (taken, handle) = (message.body().unwrap(), message.receipt_handle().unwrap());

    emulator.kill_and_restart();
    let client = emulator.sqs();
    let queue = url(&client).await.unwrap().queue_url.unwrap();
    let delete = client
        .delete_message()
        .queue_url(&queue)
        .receipt_handle(handle);
    delete.send().await.unwrap();

    emulator.kill_and_restart();
    let client = emulator.sqs();
    let queue = url(&client).await.unwrap().queue_url.unwrap();
    let receive = client
        .receive_message()
        .queue_url(&queue)
        .max_number_of_messages(10);
    let left = receive.send().await.unwrap();
    let left: Vec<_> = left
        .messages()
        .iter()
        .map(|message| message.body().unwrap())
        .collect();
    let expected = if taken == "one" { "two" } else { "one" };
    assert_eq!(left, [expected]);
}

/// The SDK reads SQS's errors by the codes of its old protocol.
#[tokio::test]
async fn errors_are_typed() {
    let emulator = Emulator::start();
    let client = emulator.sqs();
    let missing = client.get_queue_url().queue_name("absent").send().await;
    let error = missing.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
}
