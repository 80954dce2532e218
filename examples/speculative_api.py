"""API speculation: one request where the program has three gens.

An API that only takes whole prompts is asked once for every gen, and is sent the text so far each time. With
`num_api_spec_tokens` it is asked for more at once than the first gen needs: what it writes beyond is kept, and as long
as it goes on as the program does, the next gens are served from there. The engine of this process needs nothing of the
kind, since its sessions keep their KV from gen to gen, so there the number changes nothing. Run it:

    sgdsl run examples/speculative_api.py
    sgdsl run examples/speculative_api.py -- "a sailor"

On an API it runs with `main.run("a sailor", backend=sg.OpenAI("gpt-4o-mini"))`, or after `sg.set_default_backend(…)`
of one.
"""

import sgdsl as sg

EXAMPLES = """A baker
Name: Rosa Klein
Birthday: 3 May 1961
Likes: the smell of fresh bread

A pilot
Name: Tom Fisher
Birthday: 19 August 1984
Likes: flying above the clouds

"""


@sg.function(num_api_spec_tokens=64)
def main(s, person: str = "a gardener"):
    """Invents a person."""
    s += EXAMPLES + person.capitalize() + "\n"
    s += "Name:" + sg.gen("name", max_tokens=12, stop="\n", temperature=0) + "\n"
    s += "Birthday:" + sg.gen("birthday", max_tokens=12, stop="\n", temperature=0) + "\n"
    s += "Likes:" + sg.gen("likes", max_tokens=16, stop="\n", temperature=0) + "\n"
    return {name: s[name].strip() for name in ("name", "birthday", "likes")}
