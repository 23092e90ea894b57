"""Stands in for `forecast train`: a loss known in advance, epoch by epoch, stopped and continued like a run."""

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
words = sys.argv[1:]
resumed = words[0] == "--resume"
if resumed:
    run = Path(words[1])
    words = json.loads((run / "words.json").read_text())
about = dict(word.split("=", 1) for word in words if "=" in word)
run = Path(about["run"])
if not resumed:
    (run / "checkpoints").mkdir(parents=True)
    (run / "words.json").write_text(json.dumps(words))
    (run / "metrics.csv").write_text("step,epoch,validation_loss,seconds\n")
fault = about.get("training.warmup_steps")
if fault == "5" or about.get("training.weight_decay") == "5.0":
    print(json.dumps({"error": "the loss became nan", "exit_code": 5}))
    sys.exit(5)
if fault == "9":
    os.kill(os.getpid(), signal.SIGKILL)
if fault == "15":  # before training has taken the signals over
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)

checkpoint, epochs = run / "checkpoints" / "last.ckpt", int(about["training.epochs"])
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
loss = math.inf
while done < epochs and not asked:
    time.sleep(0.05)
    done += 1
    loss = 1 + abs(math.log10(float(about["training.learning_rate"])) + 3) + 1 / done
    with (run / "metrics.csv").open("a") as file:
        file.write(f"{done},{done},{loss},{done / 20}\n")
    checkpoint.with_suffix(".new").write_text(str(done))
    checkpoint.with_suffix(".new").rename(checkpoint)
    checkpoint.with_name("process").write_text(str(os.getpid()))
if fault == "7":  # the handler is gone before the end, as in training
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(1)
stopped = "signal" if done < epochs else "finished"
print(json.dumps({"best_validation": loss, "stopped": stopped, "seconds": done / 20, "resumed": resumed}))
