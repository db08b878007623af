use super::*;
use crate::collect::samples::testing::Store;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

/// A store with two nodes' `load`, as of now.
async fn ask(store: &Store, request: Request<Body>) -> (u16, Json) {
    let response = router(store.samples()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn get(store: &Store, path: &str) -> (u16, Json) {
    ask(store, Request::get(path).body(Body::empty()).unwrap()).await
}

fn loaded() -> Store {
    let store = Store::open();
    store.run(&["app-a", "app-b"], 3);
    store
}

#[tokio::test]
async fn queries_are_answered_by_get_and_by_form() {
    let store = loaded();
    let (status, by_get) = get(&store, "/api/v1/query?query=sum%20by%20(node)%20(load)").await;
    assert_eq!(status, 200, "{by_get}");
    assert_eq!(by_get["status"], "success");
    assert_eq!(by_get["data"]["resultType"], "vector");
    assert_eq!(by_get["data"]["result"][0]["metric"], json!({"node": "app-a"}));
    assert_eq!(by_get["data"]["result"][0]["value"][1], "2");
    let form = Request::post("/api/v1/query")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("query=count(load)"))
        .unwrap();
    let (status, by_form) = ask(&store, form).await;
    assert_eq!((status, &by_form["data"]["result"][0]["value"][1]), (200, &json!("2")));
}

#[tokio::test]
async fn a_range_is_a_matrix() {
    let store = loaded();
    let end = store.now_ms() / 1000;
    let path = format!("/api/v1/query_range?query=max(load)&start={}&end={end}&step=5s", end - 20);
    let (status, answer) = get(&store, &path).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["data"]["resultType"], "matrix");
    assert!(answer["data"]["result"][0]["values"].as_array().unwrap().len() >= 2, "{answer}");
}

#[tokio::test]
async fn lists_name_labels_values_series_and_metrics() {
    let store = loaded();
    let (_, labels) = get(&store, "/api/v1/labels").await;
    assert_eq!(labels["data"], json!(["__name__", "instance", "job", "node", "role", "zone"]));
    let (_, values) = get(&store, "/api/v1/label/node/values?match[]=load").await;
    assert_eq!(values["data"], json!(["app-a", "app-b"]));
    let (_, values) = get(&store, "/api/v1/label/node/values?match[]=load{node!=%22app-a%22}").await;
    assert_eq!(values["data"], json!(["app-b"]));
    let (_, series) = get(&store, "/api/v1/series?match[]={node=%22app-b%22}").await;
    assert_eq!(series["data"][0]["__name__"], "load");
    let (_, metadata) = get(&store, "/api/v1/metadata").await;
    assert_eq!(metadata["data"]["load"], json!([{"type": "gauge", "help": "How busy.", "unit": ""}]));
    let (_, build) = get(&store, "/api/v1/status/buildinfo").await;
    assert_eq!(build["data"]["application"], "onefold");
}

#[tokio::test]
async fn exemplars_lead_to_traces() {
    let store = loaded();
    let (status, answer) = get(&store, "/api/v1/query_exemplars?query=rate(load[5m])").await;
    assert_eq!(status, 200, "{answer}");
    let first = &answer["data"][0];
    assert_eq!(first["seriesLabels"]["node"], "app-a");
    assert_eq!(first["exemplars"][0]["labels"]["trace_id"], "0123456789abcdef0123456789abcdef");
    assert!(first["exemplars"][0]["timestamp"].is_number() && first["exemplars"][0]["value"].is_string());
}

#[tokio::test]
async fn mistakes_have_prometheus_form() {
    let store = loaded();
    for (path, status, kind, part) in [
        ("/api/v1/query", 400, "bad_data", "invalid parameter \"query\": is missing"),
        ("/api/v1/query?query=rate(load)", 400, "bad_data", "\"query\": 1:6: argument 1 of rate"),
        ("/api/v1/query?query=load&time=soon", 400, "bad_data", "\"time\": cannot parse"),
        ("/api/v1/query_range?query=load&start=1&end=2", 400, "bad_data", "\"step\": is missing"),
        ("/api/v1/query_range?query=load&start=0&end=99999&step=1", 422, "execution", "maximum resolution"),
        ("/api/v1/query?query=load%2Bon()load", 422, "execution", "many-to-many matching not allowed"),
        ("/api/v1/series", 400, "bad_data", "\"match[]\": is missing"),
        ("/api/v1/series?match[]=load%2B1", 400, "bad_data", "is no selector"),
        ("/api/v1/label/a-b/values", 400, "bad_data", "is no name of a label"),
    ] {
        let (found, answer) = get(&store, path).await;
        assert_eq!((found, answer["errorType"].as_str()), (status, Some(kind)), "{path}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{path}: {answer}");
    }
    let text = Request::post("/api/v1/query").body(Body::from("query=load")).unwrap();
    assert_eq!(ask(&store, text).await.0, 400);
}
