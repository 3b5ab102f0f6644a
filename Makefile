# The whole project in two commands: `make repro` and `make test`. `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install repro experiments study paper-lite paper images-alone study-dataset-size \
	study-mismatch study-exploration study-own-task study-audit study-wrong-prior study-place \
	study-panda comparison metaworld prune test check check-lerobot check-rlds films bench bench-learning torture clean

VENV := .venv
INSTALLED := $(VENV)/.installed
ACTIVATE := . $(VENV)/bin/activate
# Another build of torch: make install TORCH="torch==2.13.0+cu126 --extra-index-url https://..."
TORCH ?= torch==2.13.0
# The interpreter to make the environment from; the first Python 3.11 on PATH where empty.
PYTHON ?=
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
IS_PYTHON_3_11 := -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))'

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

install: $(INSTALLED) ## make .venv with everything the other targets need

$(INSTALLED): pyproject.toml constraints.txt
	@python=""; for candidate in $(or $(PYTHON),python3.11 python3 python); do \
		if "$$candidate" $(IS_PYTHON_3_11) 2>/dev/null; then python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "error: Python 3.11 with its venv module is missing:" \
			"install it, or name it with make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	if ! $(VENV)/bin/python $(IS_PYTHON_3_11) 2>/dev/null; then \
		echo "Making $(VENV) with $$("$$python" --version)"; "$$python" -m venv --clear $(VENV); fi
	@echo "Installing $(firstword $(TORCH)), then the packages of constraints.txt"
	@$(PIP) install $(TORCH) -c constraints.txt
	@$(PIP) install -e '.[dev]' -c constraints.txt
	@touch $(INSTALLED)

repro: install ## run the pipeline (only what changed), print the results and the report's path
	@$(ACTIVATE) && dvc repro
	@echo && cat report/table.txt && echo && echo "Report: $(CURDIR)/report/index.html"

# Of two hundred params those that differ, and not the hashes of what stages depend on
experiments: install ## compare experiments of `dvc exp run`: the params that differ, and the metrics
	@$(ACTIVATE) && dvc exp show --only-changed --keep 'agents\..*|prior\..*' \
		--drop '.*/.*|(models|judged|runs)$$' --hide-workspace

# Beside the pipeline, which runs one agent after another: the runs of a study are independent, and
# two with a thread each take less time than one after the other with two. A run that lies there
# already, of the same prior, params and seed, is not made again. On several machines (docs/cluster.md):
# make paper SWEEP="parrot sweep --ray auto"
PARALLEL ?= 2
SWEEP ?= parrot sweep --jobs $(PARALLEL)
STUDY_TASK ?= pick-sculpture
STUDY_SEEDS ?= 0 1 2
STUDY_METHODS ?= parrot sac
study: install ## several seeds and methods on STUDY_TASK, two at a time, into results/STUDY_TASK
	@$(ACTIVATE) && dvc repro parts
	@$(ACTIVATE) && seeds=$$(printf '"%s",' $(STUDY_SEEDS)) && \
		methods=$$(printf '%s,' $(STUDY_METHODS)) && \
		values=(--set "finetune.tasks=[$(STUDY_TASK)]" --set "finetune.seeds=[$${seeds%,}]" \
			--set "finetune.methods=[$${methods%,}]") && \
		$(SWEEP) --runs study/$(STUDY_TASK) "$${values[@]}" && \
		parrot report --runs study/$(STUDY_TASK) --out results/$(STUDY_TASK) "$${values[@]}"

# Pipelines of profiles and studies are closed (.dvcignore), so that `dvc pull` and `dvc status` are
# about what was run. The first `make` of one opens it; commit that file to share what it made.
%/.dvcignore:
	@echo '!/dvc.yaml' > $@
PAPER_LITE := profiles/paper_lite/.dvcignore

paper-lite: $(PAPER_LITE)
paper: profiles/paper/.dvcignore
images-alone: profiles/images_alone/.dvcignore
paper-lite: install ## eight tasks, parrot and sac, one seed: an hour and a half on two cores
paper: install ## the paper's setting: days on two cores, resumable at any point
images-alone: install ## a prior and agents that see one image and nothing else: hours on two cores
paper-lite paper images-alone:
	@$(ACTIVATE) && cd profiles/$(subst -,_,$@) && dvc repro && $(SWEEP) && \
		parrot report --out ../../results/$(subst -,_,$@)

comparison: $(PAPER_LITE) studies/comparison/.dvcignore
comparison: install ## every method on a pick and a place task, two seeds, on the prior of paper-lite
	@$(ACTIVATE) && dvc repro studies/comparison/dvc.yaml && cd studies/comparison && \
		$(SWEEP) && parrot report --data ../../profiles/paper_lite/data/shards \
		--kept ../../profiles/paper_lite/data/kept --out ../../results/comparison

study-own-task: studies/own_task/.dvcignore
study-own-task: install ## bc_sac on a task whose own demonstrations it was cloned from
	@$(ACTIVATE) && dvc repro studies/own_task/dvc.yaml && cat results/own_task/*/*/metrics.json

study-audit: studies/audit/.dvcignore
study-audit: install ## what an audit says of eight unseen tasks, beside what agents then learn
	@$(ACTIVATE) && dvc repro judge studies/audit/dvc.yaml && cd studies/audit && \
		$(SWEEP) --prior ../../models/prior && \
		parrot report --audited audited --data ../../data/shards --kept ../../data/kept \
		--prior ../../models/prior --judged ../../judged --out ../../results/audit

study-wrong-prior: studies/wrong_prior/.dvcignore
study-wrong-prior: install ## agents where the prior is wrong: grasps alone on a place task; drawer and wall unseen
	@$(ACTIVATE) && dvc repro judge studies/wrong_prior/dvc.yaml && cd studies/wrong_prior && \
		$(SWEEP) --runs runs/grasps --prior models/prior && \
		parrot report --runs runs/grasps --data shards --kept kept --out ../../results/wrong_prior/grasps && \
		unseen=(--set 'finetune.tasks=[open-drawer, pick-cup-behind-wall]') && \
		$(SWEEP) --runs runs/unseen "$${unseen[@]}" --prior ../../models/prior && \
		parrot report --runs runs/unseen "$${unseen[@]}" --data ../../data/shards --kept ../../data/kept \
		--prior ../../models/prior --judged ../../judged --out ../../results/wrong_prior/unseen
	@echo && cat results/wrong_prior/*/table.txt

PLACE_REPORT := parrot report --data ../../profiles/paper_lite/data/shards \
	--kept ../../profiles/paper_lite/data/kept
study-place: $(PAPER_LITE) studies/place/.dvcignore
study-place: install ## what makes agents faster and better on place tasks, three seeds, on the prior of paper-lite
	@$(ACTIVATE) && dvc repro studies/place/dvc.yaml && cd studies/place && \
		$(SWEEP) --runs runs/plain && \
		$(PLACE_REPORT) --runs runs/plain --out ../../results/place/plain && \
		alone=(--set 'finetune.methods=[parrot]') && held=("$${alone[@]}" --set finetune.agent.hold_steps=4) && \
		$(SWEEP) --runs runs/held "$${held[@]}" && \
		$(PLACE_REPORT) --runs runs/held "$${held[@]}" --out ../../results/place/held && \
		$(SWEEP) --runs runs/shown "$${alone[@]}" --demonstrations data/shards && \
		$(PLACE_REPORT) --runs runs/shown "$${alone[@]}" --out ../../results/place/shown
	@echo && cat results/place/*/table.txt

metaworld: studies/metaworld/.dvcignore
metaworld: install ## another simulator: a prior of 45 tasks of Meta-World, agents on five unseen ones
	@$(ACTIVATE) && dvc repro studies/metaworld/dvc.yaml && cd studies/metaworld && \
		$(SWEEP) && parrot report --audited audited \
			--data data/training/shards --kept data/training/kept --out ../../results/metaworld

study-panda: studies/panda/.dvcignore
study-panda: install ## another robot: panda-gym's pick-and-place, parrot and sac, three seeds
	@$(ACTIVATE) && dvc repro studies/panda/dvc.yaml && cd studies/panda && \
		$(SWEEP) && parrot report --out ../../results/panda
	@echo && cat results/panda/table.txt

study-dataset-size: $(PAPER_LITE) studies/dataset_size/.dvcignore
study-mismatch: $(PAPER_LITE) studies/mismatch/.dvcignore
study-exploration: $(PAPER_LITE) studies/exploration/.dvcignore
study-dataset-size: install ## prior and agents against the number of kept episodes
study-mismatch: install ## priors from grasping alone, from pick-and-place alone, from both
study-exploration: install ## what the prior does before any learning, and how safely
study-dataset-size study-mismatch study-exploration:
	@$(ACTIVATE) && dvc repro studies/$(subst -,_,$(@:study-%=%))/dvc.yaml
	@echo && cat results/$(subst -,_,$(@:study-%=%))/table.txt

# The runs that README's first screen shows
FILM_TABLETOP ?= runs/pick-sculpture/parrot/0
FILM_METAWORLD ?= studies/metaworld/runs/bin-picking/parrot/0
films: install ## film random actions, prior and agent of README's runs, into docs
	@$(ACTIVATE) && parrot film $(FILM_TABLETOP) --out docs/tabletop.gif
	@$(ACTIVATE) && parrot film $(FILM_METAWORLD) --out docs/metaworld.gif

prune: install ## drop what dvc.lock holds of stages that are no more, name runs left over
	@$(ACTIVATE) && parrot prune

test: install ## run the tests, PARALLEL at a time
	@$(ACTIVATE) && OMP_NUM_THREADS=1 pytest -n $(PARALLEL) --dist loadgroup

check: install ## the gate: format, lint, types, layers, tests
	@$(ACTIVATE) && ruff format --check . && ruff check . && mypy && lint-imports && OMP_NUM_THREADS=1 pytest -n $(PARALLEL) --dist loadgroup -W error

# Its own environment, as LeRobot's torch and ours exclude each other; LEROBOT_PYTHON=/path/to/python
# names one that has LeRobot already.
LEROBOT_PYTHON ?=
check-lerobot: install ## load an export with LeRobot itself (installs 8 GB for the time), write docs
	@$(ACTIVATE) && made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && \
		parrot generate --out "$$made/episodes" --set generate.num_episodes=12 && \
		python -m benchmarks.exchange.check_lerobot "$$made/episodes" --out docs/lerobot_check.txt \
		$(if $(LEROBOT_PYTHON),--python $(LEROBOT_PYTHON))

# Its own environment too: TensorFlow is large, and Parrot does without it.
RLDS_PYTHON ?=
check-rlds: install ## load an export with TensorFlow Datasets (installs 2 GB for the time), write docs
	@$(ACTIVATE) && made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && \
		parrot generate --out "$$made/episodes" --set generate.num_episodes=12 && \
		python -m benchmarks.exchange.check_rlds "$$made/episodes" --out docs/rlds_check.txt \
		$(if $(RLDS_PYTHON),--python $(RLDS_PYTHON))

bench: install ## measure every figure beside its rival (a quarter of an hour, leave the machine idle)
	@$(PIP) install -e '.[bench]' -c constraints.txt
	@$(ACTIVATE) && OMP_NUM_THREADS=1 parrot profile --out benchmarks/results
	@$(ACTIVATE) && OMP_NUM_THREADS=1 parrot bench --out benchmarks/results

bench-learning: install ## learn the default task along fast and plain paths, and from images
	@$(ACTIVATE) && dvc repro train_prior
	@$(ACTIVATE) && OMP_NUM_THREADS=1 parrot bench-learning --prior models/prior \
		--runs study/learning --out benchmarks/results

MINUTES ?= 10
torture: install ## attack every stage for MINUTES, write docs/reliability.md
	@$(ACTIVATE) && parrot torture --out docs --minutes $(MINUTES)

clean: ## remove caches and unfinished work; data, models and the environment stay
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	@find data models runs study report results profiles studies -name '*.partial' -prune -exec rm -rf {} + 2>/dev/null || true
