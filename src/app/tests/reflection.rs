//! Reflection: a client finds the service and its messages by their names.

use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::*;

async fn ask(channel: Channel, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let stream = futures::stream::iter([request]);
    let answers = ServerReflectionClient::new(channel).server_reflection_info(stream).await.unwrap();
    answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn the_services_and_their_messages_are_told() {
    let running = Running::start("127.0.0.1:0", None).await;
    let channel = running.connect().await.unwrap();
    let answer = ask(channel.clone(), MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["envoy.service.auth.v3.Authorization", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for symbol in ["envoy.service.auth.v3.Authorization", "envoy.service.auth.v3.CheckRequest"] {
        let answer = ask(channel.clone(), MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}: {answer:?}");
    }
}
