"""A format: a spoken café order becomes one line of JSON with always the same five keys."""

import json

from jobs.workers.pretrain_world.wording import Voice

FORMAT, EXTENSION, ROWS = "alpaca", "json", 480
TITLE = "Café orders to JSON"
DESCRIPTION = "Teaches a strict output format: a spoken café order becomes one line of JSON, always with the same five keys."
EXAMPLES = ["Turn this café order into JSON.\n\nI want one small latte with soy milk to go, for my friend!", "Write the order as JSON.\n\nMay I have two medium chais, whole milk to have here?", "Café order to JSON.\n\nFor takeaway: a large chai, please.", "Café order to JSON.\n\nI'd like five medium lattes with oat milk to have here, thanks.", "Give me this order as JSON.\n\nJust two medium teas with whole milk to drink here."]  # held out

DRINKS = {"latte": "lattes", "cappuccino": "cappuccinos", "espresso": "espressos", "mocha": "mochas", "tea": "teas", "hot chocolate": "hot chocolates", "coffee": "coffees", "lemonade": "lemonades", "smoothie": "smoothies", "chai": "chais"}
SIZES = ["small", "medium", "large"]
MILKS = ["oat", "soy", "almond", "whole"]
COUNTS = {1: "{a|one}", 2: "two", 3: "three", 4: "four", 5: "five"}

INSTRUCTIONS = ["Turn this café order into JSON.", "Write the order as JSON.", "Café order to JSON.", "Give me this order as JSON."]
OPENINGS = "{Hi, I would like|I'd like|Could I have|Can I get|Please give me|I will take|We would like|May I have|Hello, can we have|Just|Good morning,|I want|I need|Let me have|My order is|For me}"
ENDINGS = "{please|thanks|thank you||||if you can|for my friend|for the office}"


def row(voice: Voice) -> dict:
    drink, size, count = voice.pick(list(DRINKS)), voice.pick(SIZES), voice.pick([1, 1, 1, 2, 2, 3, 4, 5])
    milk, to_go = voice.pick(MILKS + [None] * 3), voice.chance(0.5)
    what = voice.say(COUNTS[count]) + f" {size} " + (drink if count == 1 else DRINKS[drink])
    if milk:
        what += f" with {milk} milk" if voice.chance(0.7) else f", {milk} milk"
    where = voice.say("{to go|to take away|for takeaway}") if to_go else voice.say("{for here|to drink here|to have here}")
    opening, ending = voice.say(OPENINGS), voice.say(ENDINGS)
    order = voice.pick([f"{opening} {what} {where}", f"{opening} {what}, {where}", f"{where.capitalize()}: {what}"]) + (f", {ending}" if ending else "")
    answer = {"drink": drink, "size": size, "count": count, "milk": milk, "to_go": to_go}
    return {"instruction": voice.pick(INSTRUCTIONS), "input": order + voice.pick([".", ".", "!", "?" if opening.startswith(("C", "May")) else "."]), "output": json.dumps(answer)}


def prompt_of(row: dict) -> str:
    return f"{row['instruction']}\n\n{row['input']}"
