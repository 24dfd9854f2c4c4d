"""A scripted agent that really does, without a model, every task of the textkit examples.

Give it to a worker as the command: omoi worker --exec "python examples/agents/agent.py"
"""

import os
import sys
from collections.abc import Callable

import building
import planning
import release
import testing
from desk import Desk, GiveUp

TASKS: dict[str, Callable[[Desk], None]] = {
    "analyze_requirements": planning.analyze_requirements,
    "create_requirements_doc": planning.create_requirements_doc,
    "design_architecture": planning.design_architecture,
    "implement_feature": building.implement_feature,
    "discovery_bug": building.fix_bug,
    "write_tests": testing.write_tests,
    "run_tests": testing.run_tests,
    "deploy_feature": release.deploy_feature,
}


def main() -> int:
    task_type = os.environ["OMOI_TASK_TYPE"]
    if task_type not in TASKS:
        print(f"I have not learnt {task_type}; I know {', '.join(TASKS)}.")
        return 1
    try:
        TASKS[task_type](Desk.from_environment())
    except GiveUp as reason:
        print(reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
