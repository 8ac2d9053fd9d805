"""Templates of configuration files."""

import pytest

from config.filling_in import fill_in


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("listen {{port}};\n", {"port": 80}, "listen 80;\n"),
        ("{{#tls}}\nssl on;\n{{/tls}}\nend\n", {"tls": ""}, "end\n"),
        ("{{#tls}}\nssl {{tls}};\n{{/tls}}\n", {"tls": "yes"}, "ssl yes;\n"),
        ("{{#all}}\n{{.}};\n{{/all}}\n", {"all": ["a", "b"]}, "a;\nb;\n"),
        ("{{#all}}\n{{name}}={{port}}\n{{/all}}\n", {"all": [{"name": "a"}], "port": 1}, "a=1\n"),
        ("{{#all}}\nnone\n{{/all}}\n", {"all": []}, ""),
        (
            "{{#all}}\n{{#on}}\n{{on}} {{name}}\n{{/on}}\n{{/all}}\n",
            {"all": [{"name": "a", "on": ""}, {"name": "b", "on": "404"}]},
            "404 b\n",
        ),
        ("if ($x = 0) { return 404; }\n", {}, "if ($x = 0) { return 404; }\n"),
    ],
)
def test_it_is_filled_in(text, values, filled):
    assert fill_in(text, values) == filled


def test_a_name_without_a_value_is_an_error():
    with pytest.raises(KeyError):
        fill_in("{{nothing}}", {})
