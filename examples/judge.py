"""Judge: six criteria at once, one verdict.

The essay is read once. Six forks go on from there, each looking at it with another criterion; they run in one batch
and share the essay's KV. The join hands their grades back as a list, and the verdict follows from it. Run it:

    sgdsl run examples/judge.py
"""

import sgdsl as sg

ESSAY = """Bees matter to all of us. They carry pollen from flower to flower, and without them many fruits would not
grow. In the last twenty years farmers have lost a third of their hives. We should plant wild flowers and use less
poison, so that our children can still eat apples."""

CRITERIA = {
    "clarity": "Is it easy to read?",
    "structure": "Do the sentences follow from each other?",
    "evidence": "Does it name facts?",
    "relevance": "Does it stay with its subject?",
    "language": "Is the grammar right?",
    "appeal": "Does it hold the reader's attention?",
}
GRADES = {"poor": 1, "fair": 2, "good": 3, "excellent": 4}


@sg.function
def main(s, essay: str = ESSAY):
    """Grades an essay by six criteria and passes or fails it."""
    s += sg.system("You are a teacher who grades essays.")
    s += sg.user(f"Read this essay.\n\n{essay}")
    forks = s.fork(len(CRITERIA))
    for fork, (criterion, question) in zip(forks, CRITERIA.items(), strict=True):
        fork += sg.user(f"Judge its {criterion}. {question}")
        with fork.assistant():
            fork += f"The {criterion} is " + sg.select("grade", list(GRADES)) + ", because"
            fork += sg.gen("remark", max_tokens=24, stop=["\n", "."], temperature=0) + "."
    forks.join()
    average = sum(GRADES[grade] for grade in s["grade"]) / len(CRITERIA)
    verdict = "pass" if average >= 2.5 else "fail"
    s += sg.assistant("\n".join(f"{name}: {grade}" for name, grade in zip(CRITERIA, s["grade"], strict=True)))
    remarks = [remark.strip() for remark in s["remark"]]
    return {"verdict": verdict, "average": round(average, 2), "remarks": dict(zip(CRITERIA, remarks, strict=True))}
