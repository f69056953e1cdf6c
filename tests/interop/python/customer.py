"""The customer's part: walks the pages as a browser without scripts would."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

from program import ENVIRONMENT

_PAGES_LIMIT = 20


class Customer:
    """A person at a browser of their own."""

    def __init__(self):
        self._browser = requests.Session()
        # The steps of the forms that were sent, in their order.
        self.pages = []

    def walk(self, address, target=None, **answers):
        """Opens an address and does what is asked, until a redirect leaves for `target` or a page
        has no form. Returns the address where it ended."""
        response = self._browser.get(address, allow_redirects=False)
        for _ in range(_PAGES_LIMIT):
            here = response.url
            if "location" in response.headers:
                location = urljoin(here, response.headers["location"])
                if target and location.startswith(target):
                    return location
                response = self._browser.get(location, allow_redirects=False)
                continue
            assert response.status_code == 200, f"{here}\n{response.text}"
            form = _Form(response.text)
            if form.action is None:
                assert not target, f"no form and no redirect at {here}\n{response.text}"
                return here
            body = self._answers(form, answers)
            action = urljoin(here, form.action)
            response = self._browser.post(action, data=body, allow_redirects=False)
        raise AssertionError(f"still on {here} after {_PAGES_LIMIT} pages")

    def allow(self, authorization_url, target):
        """Signs in, keeps every business, and allows. Returns the redirect that ends it."""
        landed = self.walk(authorization_url, target)
        assert "code=" in landed, landed
        return landed

    def _answers(self, form, answers):
        known = {**ENVIRONMENT["customer"], **answers}
        body = [(name, known.get(name, value)) for name, value in form.fields]
        body += [(name, value) for name, value in form.buttons if value == "allow"]
        self.pages.append(dict(body).get("step"))
        return body


class _Form(HTMLParser):
    """The form of a page. Our own pages have one at most."""

    def __init__(self, html):
        super().__init__()
        self.action, self.fields, self.buttons = None, [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "form":
            self.action = values["action"]
        elif tag == "button" and "name" in values:
            self.buttons.append((values["name"], values["value"]))
        elif tag == "input" and "name" in values:
            if values.get("type") != "checkbox" or "checked" in values:
                self.fields.append((values["name"], values.get("value", "")))
