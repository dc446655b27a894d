"""The action file: what may be done, and every way in which a file can be wrong, with its place."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from opsbridge.cli.main import app
from opsbridge.executor import ActionError, Actions, load_actions
from opsbridge.executor.actions import Command, Webhook
from opsbridge.executor.templates import template


def loaded(tmp_path: Path, text: str) -> Actions:
    (tmp_path / "actions.yaml").write_text(text)
    return load_actions([tmp_path / "actions.yaml"])


def complaints(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ActionError) as refused:
        loaded(tmp_path, text)
    return [str(finding).removeprefix(f"{tmp_path}/") for finding in refused.value.findings]


SOUND = """\
version: 1
actions:
  - name: restart
    description: restarts a service
    command: [/bin/echo, --host, "{host}", "--why={why}", "{{literal}}"]
    parameters:
      host: {pattern: "[a-z0-9.-]+"}
      why: {pattern: "[a-z ]*", default: no reason}
    timeout: 90s
    output_limit: 100
    environment: {LEVEL: "3"}
    working_directory: /usr
  - name: hook
    webhook:
      url: "https://example.org/hosts/{host}/restart?force=1"
      method: PUT
      headers: {X-Team: core}
      body: {text: "restart {host}", now: true, list: ["{host}", 1]}
    parameters: {host: {pattern: "[a-z0-9.-]+"}}
"""


def test_a_sound_file_is_read_as_it_is_meant(tmp_path: Path) -> None:
    actions = loaded(tmp_path, SOUND)
    assert actions.findings == ()
    restart, hook = actions.by_name.values()
    assert (restart.name, restart.timeout_ms, restart.output_limit) == ("restart", 90_000, 100)
    assert isinstance(restart.does, Command)
    values = restart.values({"host": "web-01"})
    assert values == {"host": "web-01", "why": "no reason"}
    assert [each.filled(values) for each in restart.does.arguments] == [
        "--host",
        "web-01",
        "--why=no reason",
        "{literal}",
    ]
    assert (restart.does.environment, restart.does.working_directory) == ({"LEVEL": "3"}, "/usr")
    assert isinstance(hook.does, Webhook)
    assert (hook.timeout_ms, hook.output_limit, hook.does.method) == (60_000, 4_000, "PUT")
    assert hook.does.url.filled({"host": "web-01"}) == "https://example.org/hosts/web-01/restart?force=1"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "action restart needs the parameter host"),
        ({"host": "a", "user": "root"}, "action restart has no parameter 'user'"),
        ({"host": "a;reboot"}, "parameter host is 'a;reboot', which does not match [a-z0-9.-]+"),
        ({"host": "a\n"}, "parameter host is 'a\\n', which does not match [a-z0-9.-]+"),
        ({"host": ""}, "parameter host is '', which does not match [a-z0-9.-]+"),
        ({"host": "-rf"}, "parameter host is '-rf': an argument may not begin with '-' by a value"),
        ({"host": "a" * 4001}, f"parameter host is '{'a' * 60}...', which does not match [a-z0-9.-]+"),
    ],
)
def test_values_that_will_not_do_are_refused_with_the_reason(tmp_path: Path, given: dict[str, str], why: str) -> None:
    assert loaded(tmp_path, SOUND).by_name["restart"].values(given) == why


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_cannot_walk_through_the_path_of_an_address(tmp_path: Path, value: str) -> None:
    text = SOUND.replace('host: {pattern: "[a-z0-9.-]+"}}', 'host: {pattern: ".*"}}')
    refused = loaded(tmp_path, text).by_name["hook"].values({"host": value})
    assert refused == f"parameter host is {value!r}, which is no piece of a path"


def test_nul_is_refused_whatever_the_pattern_says(tmp_path: Path) -> None:
    text = SOUND.replace('host: {pattern: "[a-z0-9.-]+"}\n', 'host: {pattern: ".*"}\n')
    assert isinstance(loaded(tmp_path, text).by_name["restart"].values({"host": "a\0b"}), str)


HEAD = "version: 1\nactions:\n  - name: a\n    "
ECHO = "command: [/bin/echo]\n    "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 2\n", "actions.yaml:1:10: version: must be 1, not the number 2"),
        ("actions: []\n", "actions.yaml:1:1: version: is required"),
        ("version: 1\nacts: []\n", "actions.yaml:2:1: acts: unknown field; did you mean 'actions'?"),
        ("version: 1\nactions: {}\n", "actions.yaml:2:10: actions: must be a list, not a mapping"),
        ("version: 1\nactions: [\n", "actions.yaml:3:1: "),
        (
            HEAD + "timeout: 5s\n",
            "actions.yaml:3:5: actions[0]: must say either command or webhook: what is to be done",
        ),
        (
            HEAD + "comand: [/bin/true]\n",
            "actions.yaml:4:5: actions[0].comand: unknown field; did you mean 'command'?",
        ),
        (
            HEAD + "webhok: {url: https://e.org/}\n",
            "actions.yaml:4:5: actions[0].webhok: unknown field; did you mean 'webhook'?",
        ),
        (
            HEAD + ECHO + "webhook: {url: https://e.org/}\n",
            "actions.yaml:3:5: actions[0]: must say either command or webhook: what is to be done",
        ),
        (
            HEAD + ECHO + "timeout: 5\n",
            (
                "actions.yaml:5:14: actions[0].timeout: must be a duration such as 90s, 5m, 1h30m or 2d, "
                "not the number 5; say the unit: 5s"
            ),
        ),
        (
            HEAD + ECHO + "output_limit: 9000\n",
            "actions.yaml:5:19: actions[0].output_limit: must be 0 to 7900 characters, not 9000",
        ),
        (HEAD + ECHO + "shell: true\n", "actions.yaml:5:5: actions[0].shell: unknown field; known are "),
        (
            HEAD + "webhook: {url: https://e.org/, verify: false}\n",
            "actions.yaml:4:36: actions[0].webhook.verify: unknown field; known are ",
        ),
        (
            HEAD + ECHO + "parameters: {Host: {pattern: a}}\n",
            (
                "actions.yaml:5:18: actions[0].parameters.Host: must be a name of lower-case letters, digits and '_' "
                "that begins with a letter, such as host; it is 'Host'"
            ),
        ),
        (
            HEAD + ECHO + "parameters: {host: {}}\n",
            "actions.yaml:5:24: actions[0].parameters.host.pattern: is required",
        ),
        (
            HEAD + ECHO + 'parameters: {host: {pattern: "("}}\n',
            "actions.yaml:5:34: a: parameters.host.pattern: is no regular expression: missing ): (",
        ),
        (
            HEAD + ECHO + "parameters: {host: {pattern: a, default: b}}\n",
            "actions.yaml:5:46: a: parameters.host.default: 'b' does not match the pattern",
        ),
        (
            HEAD + "command: reboot\n",
            "actions.yaml:4:14: actions[0].command: must be a list, not 'reboot'; say [reboot]",
        ),
        (
            HEAD + "command: []\n",
            "actions.yaml:4:14: actions[0].command: must have 1 entries, not 0",
        ),
        (
            HEAD + "command: [reboot]\n",
            (
                "actions.yaml:4:15: a: command[0]: must be the full path of a program, not 'reboot': "
                "nothing is searched for, and there is no shell"
            ),
        ),
        (
            HEAD + 'command: ["{program}"]\n',
            (
                "actions.yaml:4:15: a: command[0]: must be the full path of a program, not '{program}': "
                "nothing is searched for, and there is no shell"
            ),
        ),
        (
            HEAD + "command: [/bin/nothing-here]\n",
            "actions.yaml:4:15: a: command[0]: '/bin/nothing-here': No such file or directory",
        ),
        (HEAD + "command: [/bin]\n", "actions.yaml:4:15: a: command[0]: '/bin' is no program that this user may run"),
        (
            HEAD + 'command: [/bin/echo, "{host}"]\n',
            "actions.yaml:4:26: a: command[1]: {host} is no parameter of this action; declare it under parameters",
        ),
        (
            HEAD + 'command: [/bin/echo, "a{"]\n',
            (
                "actions.yaml:4:26: a: command[1]: has '{' at character 2, which is no place for a parameter such as "
                "{host}; for the character itself write {{"
            ),
        ),
        (
            HEAD + 'command: [/bin/echo, "a\\0"]\n',
            "actions.yaml:4:26: a: command[1]: must not have a NUL character",
        ),
        (
            HEAD + ECHO + 'environment: {X: "a\\0"}\n',
            "actions.yaml:5:22: a: environment.X: must not have a NUL character",
        ),
        (
            HEAD + ECHO + "environment: {1X: a}\n",
            "actions.yaml:5:19: actions[0].environment.1X: must be the name of an environment variable; it is '1X'",
        ),
        (
            HEAD + ECHO + "working_directory: tmp\n",
            "actions.yaml:5:24: a: working_directory: 'tmp' is no directory by its full path",
        ),
        (
            HEAD + ECHO[:-4] + "  - name: a\n    " + ECHO,
            "actions.yaml:5:11: a: name: there is one of this name already: actions.yaml:3:11",
        ),
        (
            "version: 1\nactions:\n  - name: a b\n    " + ECHO,
            (
                "actions.yaml:3:11: actions[0].name: must be a name of letters, digits, '.', '_' and '-', "
                "such as restart-service; it is 'a b'"
            ),
        ),
        (
            HEAD + "webhook: {url: ftp://e.org/}\n",
            "actions.yaml:4:20: a: webhook.url: must begin with https:// or http://",
        ),
        (HEAD + "webhook: {url: https:///x}\n", "actions.yaml:4:20: a: webhook.url: names no server"),
        (HEAD + 'webhook: {url: "https://e.org:x/"}\n', "actions.yaml:4:20: a: webhook.url: is no address: Port"),
        (
            HEAD + 'webhook: {url: "https://me:pw@e.org/"}\n',
            "actions.yaml:4:20: a: webhook.url: has a user's name in it; credentials belong in headers_file",
        ),
        (
            HEAD + 'webhook: {url: "https://e.org/#x"}\n',
            "actions.yaml:4:20: a: webhook.url: has a fragment (#...), which is never sent",
        ),
        (
            HEAD + 'webhook: {url: "https://e.org/a b"}\n',
            "actions.yaml:4:20: a: webhook.url: has characters that must be percent-encoded",
        ),
        *(
            (
                HEAD + f'webhook: {{url: "https://{url}"}}\n    parameters: {{p: {{pattern: a}}}}\n',
                (
                    "actions.yaml:4:20: a: webhook.url: parameters may stand in its path only, "
                    "behind the server's name and before any ?"
                ),
            )
            for url in ("{p}/x", "e.org{p}/", "e.org:{p}/", "e.org/?q={p}", "e.org/a?b=/{p}")
        ),
        (
            HEAD + "webhook: {url: https://e.org/, method: GET, body: {}}\n",
            "actions.yaml:4:55: a: webhook.body: a GET request has no body; leave it out, or say method: POST",
        ),
        (
            HEAD + "webhook: {url: https://e.org/, headers: {Host: other}}\n",
            "actions.yaml:4:46: a: webhook.headers.Host: is set by the executor itself; leave it out",
        ),
        (
            HEAD + 'webhook: {url: https://e.org/, headers: {X: "a\\r\\nY: b"}}\n',
            (
                "actions.yaml:4:49: actions[0].webhook.headers.X: must be text without line breaks and other control "
                "characters; it is 'a\\r\\nY: b'"
            ),
        ),
        (
            HEAD + "webhook: {url: https://e.org/, headers_file: nowhere}\n",
            "actions.yaml:4:50: a: webhook.headers_file: no such file: ",
        ),
        (
            HEAD + "webhook: {url: https://e.org/, headers_file: actions.yaml, body: 1}\n",
            "actions.yaml:4:50: a: webhook.headers_file: ",
        ),
        (
            HEAD + 'webhook: {url: https://e.org/, body: ["{x}"]}\n',
            "actions.yaml:4:43: a: webhook.body[0]: {x} is no parameter of this action; declare it under parameters",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    found = complaints(tmp_path, text)
    assert any(line.replace(f"{tmp_path}/", "").startswith(told) for line in found), found


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    assert (
        len(complaints(tmp_path, HEAD + "command: [x]\n    working_directory: y\n  - {name: b, command: [z]}\n")) == 3
    )


def test_what_is_odd_is_said_and_does_no_harm(tmp_path: Path) -> None:
    actions = loaded(tmp_path, HEAD + ECHO + "parameters: {host: {pattern: a}}\n")
    assert [finding.message for finding in actions.findings] == ["is taken, but used nowhere"]
    actions = loaded(tmp_path, HEAD + "webhook: {url: http://example.org/}\n")
    assert [finding.message for finding in actions.findings] == [
        "is not encrypted, and nothing proves who answers; say https"
    ]
    assert loaded(tmp_path, HEAD + "webhook: {url: http://127.0.0.1/}\n").findings == ()
    assert "there are no actions" in str(loaded(tmp_path, "version: 1\n").findings[0])


def test_the_command_tells_what_is_wrong_and_needs_no_broker_for_it(tmp_path: Path) -> None:
    path = tmp_path / "actions.yaml"
    path.write_text(SOUND)
    fine = CliRunner().invoke(app, ["executor", "--actions", str(path), "--check"])
    assert (fine.exit_code, fine.stderr) == (0, "2 actions: restart, hook\n")
    path.write_text(SOUND.replace("/bin/echo", "echo"))
    wrong = CliRunner().invoke(app, ["executor", "--actions", str(path)])
    assert wrong.exit_code == 2
    assert f"{path}:5:15: restart: command[0]: must be the full path" in wrong.stderr


def test_a_value_is_never_read_for_places_again() -> None:
    found = template("a {x} {{x}} {y}")
    assert found.names == ("x", "y")
    assert found.filled({"x": "{y}", "y": "{x}"}) == "a {y} {x} {x}"
