"""Websites of buckets: indexes, error documents, redirects."""

import re

import pytest
from cumulog import error_code, request


@pytest.fixture
def site(s3, bucket):
    """A bucket with a website of an index, a folder and an error document."""
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"},
    })  # fmt: skip
    for key in ("index.html", "folder/index.html", "error.html", "page.html"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), ContentType="text/html")
    return bucket


@pytest.fixture
def visit(server, bucket):
    def visit(path, method="GET", form="{}.s3-website.localhost:4566", **headers):
        return request(server, method, path, {"Host": form.format(bucket)} | headers)

    return visit


def test_pages_are_found_under_every_form_of_host(site, visit):
    for form in ("{}.s3-website.localhost", "{}.s3-website-us-east-1.localhost:1", "{}.s3-website.localhost.localstack.cloud"):
        answer = visit("/", form=form)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"index.html", "text/html")
    assert visit("/page.html").body == b"page.html"
    assert visit("/folder/").body == b"folder/index.html"
    answer = visit("/folder")
    assert (answer.status, answer.headers["location"]) == (302, "/folder/")
    answer = visit("/page.html", method="HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "9")
    etag = visit("/page.html").headers["etag"]
    assert visit("/page.html", **{"If-None-Match": etag}).status == 304
    # A query means nothing to a website, and neither does who asks.
    assert visit("/page.html?acl", Authorization="AWS me:signature").body == b"page.html"
    assert visit("/health").status == 404


def test_what_is_not_there_is_answered_by_the_error_document(site, visit):
    answer = visit("/none")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (404, b"error.html", "text/html")
    assert answer.headers["x-amz-error-code"] == "NoSuchKey"



def test_without_one_there_is_a_page_as_in_aws(s3, site, visit):
    s3.delete_object(Bucket=site, Key="error.html")
    answer = visit("/none")
    assert answer.status == 404
    assert (
        "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n<li>Code: NoSuchKey</li>\n"
        "<li>Message: The specified key does not exist.</li>\n<li>Key: error.html</li>\n</ul>\n<hr/>\n</body>\n</html>\n"
    ) in answer.text
    s3.put_bucket_website(Bucket=site, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    text = re.sub(r"(RequestId|HostId): [^<]*", r"\1: id", visit("/none/").text)
    assert text == (
        "<html>\n<head><title>404 Not Found</title></head>\n<body>\n<h1>404 Not Found</h1>\n<ul>\n<li>Code: NoSuchKey</li>\n"
        "<li>Message: The specified key does not exist.</li>\n<li>Key: none/index.html</li>\n<li>RequestId: id</li>\n"
        "<li>HostId: id</li>\n</ul>\n<hr/>\n</body>\n</html>\n"
    )
    answer = visit("/page.html", method="DELETE")
    assert answer.status == 405 and "<li>ResourceType: OBJECT</li>" in answer.text and "<li>Method: DELETE</li>" in answer.text
    s3.delete_bucket_website(Bucket=site)
    answer = visit("/")
    assert answer.status == 404 and "<li>Code: NoSuchWebsiteConfiguration</li>" in answer.text
    answer = visit("/", form="{}-not.s3-website.localhost")
    assert answer.status == 404 and "<li>Code: NoSuchBucket</li>" in answer.text


def test_objects_and_rules_redirect(s3, bucket, visit):
    s3.put_object(Bucket=bucket, Key="old", WebsiteRedirectLocation="/new")
    s3.put_object(Bucket=bucket, Key="away", WebsiteRedirectLocation="https://example.com/")
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"},
        "RoutingRules": [
            {"Condition": {"KeyPrefixEquals": "docs/"}, "Redirect": {"ReplaceKeyPrefixWith": "documents/"}},
            {"Condition": {"KeyPrefixEquals": "gone"}, "Redirect": {"ReplaceKeyWith": "error.html", "HttpRedirectCode": "307"}},
            {"Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "lost/"},
             "Redirect": {"HostName": "example.com", "Protocol": "https", "ReplaceKeyPrefixWith": "report-404/"}},
        ],
    })  # fmt: skip
    host = f"http://{bucket}.s3-website.localhost:4566"
    for path, status, location in [
        ("/old", 301, "/new"),
        ("/away", 301, "https://example.com/"),
        ("/docs/a", 301, f"{host}/documents/a"),
        ("/gone/too", 307, f"{host}/error.html"),
        ("/lost/page", 301, "https://example.com/report-404/page"),
    ]:
        answer = visit(path)
        assert (answer.status, answer.headers.get("location")) == (status, location), path
    assert visit("/none").status == 404
    everything = {"RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "https"}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=everything)
    answer = visit("/a%20b?c=d")
    assert (answer.status, answer.headers["location"]) == (301, "https://example.com/a%20b?c=d")


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        ({}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
        ({"RedirectAllRequestsTo": {"HostName": "h"}, "IndexDocument": {"Suffix": "i"}}, "InvalidArgument"),
        ({"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "ftp"}}, "MalformedXML"),
        ({"IndexDocument": {"Suffix": "i"}, "RoutingRules": []}, "MalformedXML"),
        ({"Redirect": {"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}}, "InvalidRequest"),
        ({"Redirect": {"HttpRedirectCode": "200"}}, "InvalidRequest"),
        ({"Redirect": {"Protocol": "ftp"}}, "InvalidRequest"),
        ({"Redirect": {"HostName": "h"}, "Condition": {}}, "InvalidRequest"),
        ({"Redirect": {"HostName": "h"}, "Condition": {"HttpErrorCodeReturnedEquals": "200"}}, "InvalidRequest"),
        ({"Redirect": {}}, "MalformedXML"),
    ],
)
def test_configurations_are_checked(s3, bucket, configuration, code):
    if "Redirect" in configuration:
        configuration = {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [configuration]}
    assert error_code(s3.put_bucket_website, Bucket=bucket, WebsiteConfiguration=configuration) == code
