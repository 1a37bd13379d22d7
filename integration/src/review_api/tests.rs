use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::*;
use crate::faults::{Fault, edit};

/// A client as the product has one.
async fn client(api: &ReviewApi) -> Client {
    crate::http::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let path = api.write_kubeconfig(folder.path()).unwrap();
    let file = Kubeconfig::read_from(path).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn review(client: &Client, token: &str) -> TokenReviewStatus {
    let review = TokenReview {
        spec: TokenReviewSpec { token: token.to_owned(), audiences: Some(vec!["portcullis.test".to_owned()]) },
        ..TokenReview::default()
    };
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.unwrap().status.unwrap()
}

#[tokio::test]
async fn what_it_issues_is_authenticated_until_it_is_deleted() {
    let api = ReviewApi::start().await.unwrap();
    let client = client(&api).await;
    let builder = api.token("ns", "robot").audience("portcullis.test").pod("p");
    let token = builder.issue();

    let status = review(&client, &token).await;
    assert_eq!(status.authenticated, Some(true));
    assert_eq!(status.audiences, Some(vec!["portcullis.test".to_owned()]));
    let user = status.user.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:ns:robot"));
    let claims = jwt::claims(&token).unwrap();
    let account = &claims["kubernetes.io"]["serviceaccount"];
    assert_eq!(user.uid.as_deref(), account["uid"].as_str());

    for other in [builder.forged(), builder.signed_unknown(), "x".to_owned()] {
        assert_eq!(review(&client, &other).await.authenticated, None);
    }
    let default = api.token("ns", "robot").issue();
    assert_eq!(review(&client, &default).await.authenticated, None);
    api.delete_account("ns", "robot");
    assert_eq!(review(&client, &token).await.authenticated, None);
    assert_eq!(api.calls().reviews, 6);
    assert_eq!(api.calls().most_reviews_at_once, 1);
}

#[tokio::test]
async fn it_misbehaves_as_told() {
    let api = ReviewApi::start().await.unwrap();
    let client = client(&api).await;
    let token = api.token("ns", "robot").audience("portcullis.test").issue();
    api.misbehave(|faults| {
        faults.edit_status = edit(|status| status["user"]["username"] = "admin".into());
    });
    let user = review(&client, &token).await.user.unwrap();
    assert_eq!(user.username.as_deref(), Some("admin"));
    api.misbehave(|faults| faults.reviews = Fault::Status(500));
    let reviews: Api<TokenReview> = Api::all(client);
    let failed = reviews.create(&PostParams::default(), &TokenReview::default()).await;
    assert!(failed.is_err());
}
