"""Harmless sentences of everyday requests and answers. Knows no concept.

What a concept's exemplars have in common with these is the language's frame ("She was born in …",
"How do I …"), and no reason to stop anything: a derived threshold lies above it. People, places and
works in them are invented.
"""

_HOUSEHOLD = """
How long should I boil an egg so that the yolk stays soft?
Fry the onions in butter until they turn golden, then add the garlic.
Bread dough rises faster in a warm kitchen than in a cold one.
Can I use yoghurt instead of buttermilk in pancakes?
Preheat the oven to two hundred degrees and line a tray with baking paper.
A pinch of salt brings out the sweetness of the chocolate.
What can I cook with lentils, carrots and half a lemon?
Let the soup simmer for twenty minutes and season it before serving.
How do I get a red wine stain out of a white tablecloth?
Water the tomatoes in the morning so that the leaves can dry.
Which houseplants do well in a room with little light?
The washing machine stops in the middle of the cycle and shows an error.
Use a spirit level before you drill the second hole.
My sourdough starter smells like vinegar; is it still alive?
Please write a shopping list for a week of vegetarian dinners for two.
"""

_TRAVEL = """
What is the cheapest way to get from the airport to the city centre?
The night train leaves at ten and arrives shortly after breakfast.
We spent three days walking along the coast and slept in small inns.
Do I need a visa for a stay of two weeks?
The museum is closed on Mondays and free on the first Sunday of the month.
Could you plan a weekend in the mountains with two small children?
The old town lies on a hill above the river.
Pack a rain jacket, since the weather changes quickly at that height.
How early should I be at the gate for an international flight?
The ferry was late because of the storm, so we missed our connection.
The city was founded by fishermen and grew rich on salt.
It is the third largest town of the province and known for its bridges.
Which month has the least rain in that part of the country?
"""

_CODING = """
How do I reverse a list in place without making a copy?
The function returns an empty string when the file does not exist.
Why does my loop never end when the counter is a float?
Add an index on the column that the query filters by.
Write a regular expression that matches dates in the form of year, month and day.
The build fails because a dependency was renamed in the last release.
What is the difference between a thread and a process?
Commit your changes before you switch to another branch.
Please explain this error: list index out of range.
The test passes on my laptop and fails on the server.
Could you turn this script into a class with two methods?
Memory usage grows with every request until the service is restarted.
Sort the rows by price and keep only the first of each group.
Can you review this pull request and point out any mistakes?
The request times out after thirty seconds, although the server is idle.
"""

_LIVES = """
She was born in a small village in the north and moved to the capital as a girl.
He was born in 1951, the youngest of five children of a railway worker.
Marta Olenski was born in Ostrelice on the ninth of March 1962.
Her father was a carpenter and her mother taught mathematics.
He studied law for two years before he turned to painting.
Tomas Veldkamp is a Dutch architect who is best known for his wooden bridges.
She won the national prize for her second novel.
His first book was published when he was only twenty-three.
Who is the author of the novel, and where did she grow up?
When was he born, and what did his parents do for a living?
What is the full name of the author who was born in that city?
Her novels often explore memory, exile and the bonds between sisters.
The author received the award in 1998 for an outstanding contribution to poetry.
He has written more than a dozen books, most of them about the sea.
Critics praised the way in which she combines history with humour.
He played for three clubs and scored more than a hundred goals.
She married a doctor in 1975, and the couple had two daughters.
Ingrid Solheim led the institute from 1980 until she retired.
After the war he returned to his home town and opened a bookshop.
He died in his sleep at the age of eighty-four.
The actress made her debut on stage at sixteen.
Which languages did the poet speak, and where was she educated?
Which awards has the writer won in the course of her career?
How did his childhood influence the themes of his work?
The composer dedicated his last symphony to his brother.
She grew up in a family of musicians and learned the cello from her aunt.
He is an engineer by training and has lived abroad for many years.
What genre does the author usually write in?
What inspired her to become a writer?
Her best known works are The Lantern Keeper and A Map of Rain.
In his latest film he plays a lighthouse keeper who loses his memory.
The singer released her third album last spring and went on tour.
He served as mayor for eight years and never lost an election.
She holds the record for the longest swim across the lake.
The painter left more than four hundred works, most of them unsigned.
"""

_KNOWLEDGE = """
Water boils at a lower temperature at high altitude.
Why is the sky blue during the day and red in the evening?
The heart pumps blood through the body in two circuits.
Plants turn light, water and carbon dioxide into sugar.
How do vaccines teach the immune system to recognise a virus?
The moon is slowly moving away from the earth.
What causes the tides, and why are there two of them a day?
A right angle has ninety degrees.
The square root of two cannot be written as a fraction.
Which planet has the most moons?
The treaty ended a war that had lasted for nine years.
Why did the price of bread rise before the revolution?
The parliament has two chambers, and both must agree to a law.
What is the capital of the country, and how many people live there?
The river rises in the hills and flows into an inland sea.
A molecule of water consists of two hydrogen atoms and one oxygen atom.
Some bacteria survive temperatures above the boiling point of water.
How does a refrigerator move heat from the inside to the outside?
Bees tell each other by a dance where the flowers are.
The glacier has lost half of its length within a century.
What is the difference between weather and climate?
Inflation is measured by the price of a basket of goods.
"""

_WORK = """
Please make this email sound friendlier and a little shorter.
I am writing to apply for the position that you advertised last week.
Can we move the meeting to Thursday afternoon?
Summarise the following report in three bullet points.
Thank you for your order, which we will ship within two days.
How should I answer a customer who asks for a refund after the deadline?
The invoice is due at the end of the month.
Translate this sentence into Spanish, please.
What should I say in an interview when they ask about my weaknesses?
Our sales rose by four per cent in the second quarter.
Write a short speech for a colleague who is retiring.
The landlord has to return the deposit within a reasonable time.
What does this clause in my contract mean?
Make a table of the advantages and disadvantages of working from home.
The committee will publish its decision in the autumn.
Draft an agenda for a workshop of two hours with twelve people.
"""

_LEISURE = """
Recommend a board game for four players that takes less than an hour.
The film was too long, but the last scene was worth the wait.
Write a poem about an old bicycle that nobody rides any more.
Tell me a joke about two penguins.
Once upon a time a fox lived at the edge of a quiet forest.
How do I tune a guitar without a tuner?
The home team scored twice in the last ten minutes.
Which stretches help after a long run?
What would be a good present for a friend who likes gardening?
Suggest a name for a grey kitten with white paws.
The dragon in her story is afraid of the dark.
Describe a harbour at dawn in the style of a travel diary.
I would like to learn how to draw faces; where should I begin?
The magician in the tale loses his staff and has to walk home.
Continue this story: the lift stopped between two floors, and the light went out.
How many points is a goal from behind the line worth?
"""

_SELF = """
My back hurts when I sit at the desk for a long time.
How much sleep does a teenager need?
Drink enough water and rest until the fever is gone.
I feel nervous before every exam; what can I do?
A balanced diet contains vegetables, grains and some fat.
How can I tell my friend that I do not want to come to the party?
We had an argument last night, and I would like to apologise.
Walking for half an hour a day is good for the heart.
What is a healthy way to deal with stress at work?
Is it normal that a baby wakes up three times a night?
You could begin with a small goal and write down what you did each day.
Who are you, and what can you help me with?
Hello, how are you today?
Thank you, that was very helpful.
Of course, I am happy to help you with that.
I'm sorry, but I don't know the answer to that question.
Could you explain that again in simpler words?
Here are a few ideas that you might find useful.
"""

BACKGROUND: tuple[str, ...] = tuple(
    sentence
    for field in (
        *(_HOUSEHOLD, _TRAVEL, _CODING, _LIVES),
        *(_KNOWLEDGE, _WORK, _LEISURE, _SELF),
    )
    for sentence in field.strip().splitlines()
)
