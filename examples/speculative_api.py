"""API speculation: one request where the program has three gens.

An API that only takes whole prompts is asked once for every gen, and is sent the text so far each time. With
`num_api_spec_tokens` it is asked for more at once than the first gen needs: what it writes beyond is kept, and as long
as it goes on as the program does, the next gens are served from there. The engine of this process needs nothing of the
kind, since its sessions keep their KV from gen to gen, so there the number changes nothing. Run it:

    sgdsl run examples/speculative_api.py
    sgdsl run examples/speculative_api.py -- "a sailor"

On an API it runs as `main.run("a sailor", backend=sg.OpenAI("gpt-4.1-mini"))`, or after `sg.set_default_backend(…)` of
one; `state.usage().saved_calls` then says how many gens needed no request.
"""

import sgdsl as sg

EXAMPLES = {
    "a baker": "Name: Rosa Klein\nBirthday: 3 May 1961\nLikes: the smell of fresh bread",
    "a pilot": "Name: Tom Fisher\nBirthday: 19 August 1984\nLikes: flying above the clouds",
}


@sg.function(num_api_spec_tokens=64)
def main(s, person: str = "a gardener"):
    """Invents a person."""
    s += sg.system("You invent people, in three lines.")
    for example, lines in EXAMPLES.items():
        s += sg.user(example) + sg.assistant(lines)
    s += sg.user(person)
    with s.assistant():
        s += "Name:" + sg.gen("name", max_tokens=12, stop="\n", temperature=0)
        s += "\nBirthday:" + sg.gen("birthday", max_tokens=12, stop="\n", temperature=0)
        s += "\nLikes:" + sg.gen("likes", max_tokens=16, stop="\n", temperature=0)
    return {name: s[name].strip() for name in ("name", "birthday", "likes")}
